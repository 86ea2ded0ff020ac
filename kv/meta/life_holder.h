// A node's side of its life: asks for it, renews it, and knows when it must stop (design.md
// section 4).
//
// A pure core on the node's monotonic clock. What was answered counts TTL x 0.99 from when the
// request was *sent*: so it surely runs out before any leader ends the life.
//
// A lapsed life may come back: the next renewal says whether it was ended. Once ended, a node that
// wants to go on asks for another with begin().
#pragma once

#include <cstdint>
#include <map>
#include <optional>

#include "kv/meta/types.h"

namespace skald::meta {

class LifeHolder {
 public:
  enum class State : std::uint8_t {
    kAsking,  ///< no life yet
    kAlive,
    kLapsed,  ///< run out: match, ack and deliver nothing, read no socket
    kEnded,   ///< close all sessions
  };
  struct Request {
    std::uint64_t number = 0;
    Command command;
  };

  LifeHolder(NodeId node, std::uint64_t ttl_us = kLifeTtlUs) : node_(node), ttl_us_(ttl_us) {}

  /// A new process, or another life after one that has ended. `nonce`: never used before.
  void begin(std::uint64_t nonce, bool succeeds);
  /// What to send to the meta range now. Often enough: a tenth of the TTL.
  std::optional<Request> tick(std::uint64_t now_us);
  /// The reply to request `number`. Refusals of the range that are no answer are not told here.
  void on_reply(std::uint64_t number, const Reply& reply);

  State state(std::uint64_t now_us) const;
  /// Until then the node may act.
  std::uint64_t until_us() const { return ended_ ? 0 : until_us_; }
  Life life() const { return life_; }

 private:
  const NodeId node_;
  const std::uint64_t ttl_us_;
  std::uint64_t nonce_ = 0;
  bool succeeds_ = false;
  Life life_;
  bool ended_ = false;
  std::uint64_t until_us_ = 0;
  std::uint64_t now_us_ = 0;
  std::uint64_t next_send_us_ = 0;
  std::uint64_t next_number_ = 1;
  std::map<std::uint64_t, std::uint64_t> sent_;  ///< of the last TTL
};

}  // namespace skald::meta
