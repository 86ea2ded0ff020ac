// Are these operations on registers linearizable? For tests/chaos and tests/sim.
//
// Wing and Gong's search with Lowe's memo of (operations done, state), one key at a time: a history
// is linearizable exactly when each key's is (Herlihy and Wing, locality).
//
// An operation of unknown outcome has no end: it may take effect at any time after its invoke, or
// never. Reads of unknown outcome are left out by the caller.
//
// What keeps the search small: an operation that does not change the state is taken as soon as it
// fits and never reconsidered; an unknown operation is only taken when the next one sees its effect
// (else it might as well not have been), and of those that do the same only the first; a value that
// somebody must still see is not overwritten when nobody could bring it back. The memo holds
// 128-bit hashes: with 10^8 entries a false verdict by collision is less likely than 10^-21.
//
// Limits: the search may be exponential in the number of concurrent writes; `max_steps` ends it.
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>

namespace skald::checker {

inline constexpr std::uint64_t kNoEnd = ~std::uint64_t{0};

enum class Action : std::uint8_t { kRead, kWrite, kCas };

/// Requires: invoke <= end. Equal times of different operations count as concurrent.
struct Operation {
  std::uint64_t invoke = 0;
  std::uint64_t end = kNoEnd;  // kNoEnd: unknown outcome
  Action action = Action::kRead;
  std::uint64_t value = 0;     // read, written, or the new value of a CAS
  std::uint64_t expected = 0;  // CAS only
  bool succeeded = true;       // CAS with an end only: false says that the state was not `expected`
};

enum class Linearizable : std::uint8_t { kYes, kNo, kGaveUp };

struct Verdict {
  Linearizable answer = Linearizable::kYes;
  /// With kNo: an operation (index) at whose end every order tried had failed, the latest such.
  std::size_t stuck = 0;
  std::uint64_t steps = 0;
};

/// One key.
Verdict check_register(std::span<const Operation> operations, std::uint64_t initial,
                       std::uint64_t max_steps);

struct KeyedOperation {
  std::uint64_t key = 0;
  Operation operation;
};

struct KeyedVerdict {
  Verdict verdict;        // the first that is not kYes; kNo wins over kGaveUp
  std::uint64_t key = 0;  // its key; `stuck` is an index into the input
};

/// Many keys, each with `initial` and its own `max_steps`.
KeyedVerdict check_registers(std::span<const KeyedOperation> operations, std::uint64_t initial,
                             std::uint64_t max_steps);

}  // namespace skald::checker
