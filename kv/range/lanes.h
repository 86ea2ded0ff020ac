// What a range remembers of each lane: the last commands and replies (design.md section 5,
// "Lanes").
//
// Part of a range's replicated state: every replica asks check() before apply, and calls record()
// after. A retry after a lost reply or a change of leader is answered and not applied twice; a gap
// is refused, so that a refused batch holds back what is behind it; a life that has ended is
// refused for good.
//
// A lane is pipelined: up to kLaneWindow of its commands may be unanswered at a time, and the
// replies to that many are kept, because a change of leader can lose them all.
//
// Bound: kMaxLanesPerLife lanes for each life that has not ended, kLaneWindow replies a lane, one
// number for each node that ever had a life here. What a reply may weigh is the state machine's
// business.
#pragma once

#include <cstdint>
#include <map>
#include <optional>
#include <set>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "config/base/ids.h"
#include "config/base/result.h"
#include "kv/range/state_machine.h"

namespace skald::range {

inline constexpr std::size_t kMaxLanesPerLife = 4096;
inline constexpr std::size_t kLaneWindow = 64;

class Lanes {
 public:
  enum class Verdict : std::uint8_t {
    apply,     // the next of its lane
    answered,  // one of the last kLaneWindow again: here is its reply
    stale,     // older than those: a proposer that keeps to the window has its reply
    gap,       // something before it is missing: refused, to be proposed again in order
    ended,     // the life has ended
    too_many,  // kMaxLanesPerLife
  };
  struct Check {
    Verdict verdict = Verdict::apply;
    std::string_view reply;  // when answered; valid until the next record() or end_life()
  };

  /// What to do with command `seq` of `lane`. The first of a lane is 1.
  Check check(const LaneId& lane, std::uint64_t seq) const;

  /// The command was applied. Requires: check(lane, seq) said apply.
  void record(const LaneId& lane, std::uint64_t seq, std::string reply);

  /// Forgets the lanes of the life, and refuses it and all earlier ones of its node from now on.
  void end_life(Life life);

  bool has_ended(Life life) const;
  /// The newest life of the node that has ended; 0: none.
  LifeNumber ended(NodeId node) const;
  /// The sequence number that the lane is to go on with.
  std::uint64_t next(const LaneId& lane) const;
  std::size_t size() const { return lanes_.size(); }

  /// The state as stored pieces: one for each reply that is kept, and for each node with an ended
  /// life. So a command costs one small record, however deep its lane is. take_changes() tells
  /// those that changed since the last call; no value: the piece is gone.
  std::vector<std::pair<std::string, std::optional<std::string>>> take_changes();
  /// Every piece, by key, as a child of a split begins with.
  std::vector<std::pair<std::string, std::string>> pieces() const;
  /// Takes over one stored piece. Requires: in order of keys.
  Status load(std::string_view key, std::string_view value);

  bool operator==(const Lanes& other) const {
    return lanes_ == other.lanes_ && ended_ == other.ended_;
  }

 private:
  /// The reply to command n is in slot (n - 1) % kLaneWindow.
  struct Last {
    std::uint64_t seq = 0;
    std::vector<std::string> replies;

    bool operator==(const Last&) const = default;
  };
  struct Changed {
    std::uint64_t since = 0;     ///< commands above it are not stored yet
    std::size_t slots_gone = 0;  ///< of a lane that is gone
  };

  std::size_t lanes_of(Life life) const;
  Status load(const LaneId& lane, std::size_t slot, std::uint64_t seq, std::string_view reply);

  std::map<LaneId, Last> lanes_;
  std::map<NodeId, LifeNumber> ended_;       // of each node, the newest life that has ended
  std::map<LaneId, Changed> changed_lanes_;  // since take_changes()
  std::set<NodeId> changed_ends_;
};

}  // namespace skald::range
