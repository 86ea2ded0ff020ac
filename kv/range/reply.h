// What comes back for a request to a range.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "kv/range/descriptor.h"

namespace skald::range {

enum class Outcome : std::uint8_t {
  kDone,        ///< `bytes` is the machine's reply
  kUnknown,     ///< leadership was lost meanwhile: ask again, in order, with the same numbers
  kNotLeader,   ///< not taken; `leader` may know
  kStaleEpoch,  ///< not applied and never will be: see `descriptors`, ask for `next_seq`
  kNewerEpoch,  ///< not taken: this replica has not heard of the epoch yet; ask again
  kGap,         ///< not applied: `next_seq` must come first
  kTooOld,      ///< applied so long ago that its reply is gone
  kEnded,       ///< the life has ended
  kTooMany,     ///< lanes of the life
  kBusy,        ///< not taken, retry later: overloaded, transferring, a change under way
  kLevel,       ///< the range is not committed to understand this yet
  kInvalid,     ///< the request makes no sense for this range
  kTimedOut,    ///< a new replica did not catch up; it stays a learner
  kNoRange,     ///< this store has no such range
};

struct Reply {
  Outcome outcome = Outcome::kDone;
  std::string bytes;
  std::uint64_t next_seq = 0;
  StoreId leader;                       ///< 0: not known
  std::vector<Descriptor> descriptors;  ///< the range, and what was split from it just now
};

const char* describe(Outcome outcome);

}  // namespace skald::range
