// One lane's way to the ranges: which command goes where, with which number, and what is sent again
// until it is answered. Commands on one key are applied in the order of submit(), each once.
//
// Owned by one loop (or the simulator's client). A pure core: replies, descriptors and ticks come
// in, requests and results come out.
//
// The numbers of a lane belong to (range, boundary_ver). Within one such pair a command keeps its
// number through every retry. When a boundary changes, commands in flight may or may not have been
// applied; so the router asks the range where the lane stands: what was sent under the old boundary
// and has a number below that was applied, and its reply is asked for again; the rest never will be
// (the range refuses the old boundary), and is numbered anew, wherever its keys are now.
//
// Bounds: window() commands under way a range, their numbers less than kLaneWindow apart; what
// waits behind them is the caller's to limit, by waiting().
#pragma once

#include <cstdint>
#include <deque>
#include <map>
#include <string>
#include <variant>
#include <vector>

#include "kv/range/reply.h"
#include "kv/range/requests.h"
#include "kv/route/route_table.h"

namespace skald::route {

struct RouterOptions {
  std::size_t window = 32;  ///< at most range::kLaneWindow
  std::uint64_t retry_us = 200'000;
  std::uint64_t timeout_us = 2'000'000;
};

class Router {
 public:
  struct Request {
    range::StoreId to;
    RangeId range;
    std::variant<range::DataRequest, range::ReadRequest> body;
  };
  struct Result {
    std::uint64_t op = 0;
    range::Outcome outcome = range::Outcome::kDone;
    std::string bytes;
  };
  struct Out {
    std::vector<Request> requests;
    std::vector<Result> results;
  };

  Router(range::LaneId lane, const RouterOptions& options) : lane_(lane), options_(options) {}

  void learn(const range::Descriptor& descriptor);
  /// `op` is the caller's name for it.
  void submit(std::uint64_t op, std::string key, std::string bytes);
  void on_reply(std::uint64_t request, const range::Reply& reply);
  void tick(std::uint64_t now_us);
  Out take();

  std::size_t waiting() const;
  const RouteTable& table() const { return table_; }

 private:
  struct Op {
    std::uint64_t op = 0;
    std::string key;
    std::string bytes;
    std::uint64_t seq = 0;           ///< 0: no number yet
    std::uint64_t boundary_ver = 0;  ///< that the number was given under
    std::uint64_t request = 0;       ///< under way; 0: to be sent
    std::uint64_t sent_us = 0;
    bool applied = false;  ///< surely: only its reply is waited for, and nobody stays behind it
  };
  struct Line {
    std::deque<Op> ops;
    bool known = false;  ///< where the lane stands at boundary_ver
    std::uint64_t boundary_ver = 0;
    std::uint64_t next = 1;
    std::uint64_t query = 0;  ///< under way
    std::uint64_t query_us = 0;
    std::uint64_t not_before_us = 0;
    range::StoreId leader;
    std::size_t turn = 0;  ///< whom to try when no leader is known
  };
  struct Home {
    RangeId range;
    std::size_t ops = 0;
  };

  void route(Op op);
  void pump(RangeId range, Line& line);
  void ask(RangeId range, Line& line);
  void give_number(Line& line, Op& op);
  void learned_line(RangeId range, Line& line, const range::Reply& reply);
  void on_data_reply(RangeId range, Line& line, std::uint64_t request, const range::Reply& reply);
  void try_again(Line& line, const range::Reply& reply);
  void leave_home(const std::string& key);
  range::StoreId target(RangeId range, Line& line) const;

  const range::LaneId lane_;
  const RouterOptions options_;
  RouteTable table_;
  std::map<RangeId, Line> lines_;
  std::deque<Op> homeless_;
  std::map<std::string, Home> homes_;          ///< keys with commands that are not answered
  std::map<std::uint64_t, RangeId> requests_;  ///< under way
  std::uint64_t next_request_ = 1;
  std::uint64_t now_us_ = 0;
  Out out_;
};

}  // namespace skald::route
