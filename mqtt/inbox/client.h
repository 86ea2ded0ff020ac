// One loop's way to the inbox ranges: operations are gathered into one command a range, sent on the
// loop's lane, and their results given back by token.
//
// Owned by a post office; a pure core like the Router below it. Operations on one inbox are applied
// in the order of submit(). While kCommandsInFlight commands to a range are unanswered, more
// operations gather in the next: the slower the disk, the larger the batches.
//
// Bounds: waiting_bytes() is what has not been answered; its caller stops reading publishers past a
// limit.
#pragma once

#include <absl/container/flat_hash_map.h>

#include <cstdint>
#include <map>
#include <memory>
#include <span>
#include <string>
#include <utility>
#include <vector>

#include "kv/route/router.h"
#include "mqtt/inbox/types.h"

namespace skald::inbox {

inline constexpr std::size_t kCommandsInFlight = 3;
inline constexpr std::size_t kOperationsPerCommand = 512;
inline constexpr std::size_t kBytesPerCommand = 512 << 10;

/// What became of an operation. Of an insert: one for all its targets, with those that did not get
/// it.
struct Completion {
  struct Failure {
    Insert::Target target;
    Result result = Result::done;
  };

  std::uint64_t token = 0;
  OperationResult result;
  std::vector<Failure> failures;
};

class Client {
 public:
  struct Out {
    std::vector<route::Router::Request> requests;
    std::vector<Completion> completions;
  };
  /// How a publication is inserted; see Insert.
  struct Manner {
    bool once = false;
    std::uint64_t done_below = 0;
    bool retained_feed = false;
    bool has_room = true;
  };

  explicit Client(range::LaneId lane) : router_(lane, {}) {}

  void learn(const range::Descriptor& descriptor) { router_.learn(descriptor); }
  /// `token` comes back in a Completion; 0: nobody waits.
  void submit(const Name& name, Operation operation, std::uint64_t token);
  void insert(const mqtt::PublicationRef& publication, Manner manner,
              std::vector<Insert::Target> targets, std::uint64_t token);
  void on_reply(std::uint64_t request, const range::Reply& reply) {
    router_.on_reply(request, reply);
  }
  void tick(std::uint64_t now_us) { router_.tick(now_us); }
  /// To be called after any of them, at the end of a round.
  Out take();

  std::size_t waiting_bytes() const { return waiting_bytes_; }

 private:
  struct Batch {
    Command command;
    std::vector<std::uint64_t> tokens;  // of the operations
    std::string key;                    // of one of its names
    std::size_t bytes = 0;
  };
  struct Line {
    Batch next;
    std::size_t in_flight = 0;
  };
  struct Sent {
    RangeId range;
    Batch batch;
  };
  /// An insert whose parts go to several ranges.
  struct Spread {
    std::size_t parts = 0;
    std::vector<Completion::Failure> failures;
  };

  RangeId range_of(const std::string& key) const;
  void add(RangeId range, const std::string& key, Operation operation, std::uint64_t token,
           std::size_t bytes);
  void insert_part(RangeId range, const mqtt::PublicationRef& publication, const Insert& manner,
                   std::vector<Insert::Target> targets, std::uint64_t token);
  void pump(RangeId range, Line& line);
  void on_result(const route::Router::Result& result);
  void finish(Batch& batch, std::uint32_t operation, std::span<const OperationResult> results);
  void finish_insert(Batch& batch, Insert& insert, std::uint64_t token,
                     std::span<const OperationResult> results);

  route::Router router_;
  std::map<RangeId, Line> lines_;
  absl::flat_hash_map<std::uint64_t, Sent> sent_;  // by the router's op
  absl::flat_hash_map<std::uint64_t, Spread> spread_;
  std::uint64_t last_op_ = 0;
  std::size_t waiting_bytes_ = 0;
  std::vector<Completion> completions_;
};

/// The inbox that an operation is on; the range's own operations have none.
const Name* name_of(const Operation& operation);

}  // namespace skald::inbox
