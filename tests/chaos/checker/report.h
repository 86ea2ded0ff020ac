// What the checker found: per invariant of reliability.md section 4.1, how much was judged and what
// broke it, with the events that show it.
#pragma once

#include <array>
#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "tests/chaos/checker/history.h"

namespace skald::checker {

enum class Invariant : std::uint8_t {
  kAtLeastOnce,    // I1
  kVisibleDrops,   // I1b
  kNoSubscribers,  // I1c
  kExactlyOnce,    // I2
  kOrder,          // I3
  kRetained,       // I4
  kNoGhost,        // I5
  kOneSession,     // I6
  kSubscription,   // I7
  kWill,           // I8
  kShared,         // I9
  kTenants,        // I10
  kPhantom,        // I11
  kExpiry,         // I12
  kFlow,           // I13
};
inline constexpr std::size_t kInvariants = 15;

struct InvariantRow {
  const char* name;
  const char* what;
};
inline constexpr std::array<InvariantRow, kInvariants> kInvariantRows = {{
    {"I1", "QoS 1 and 2 reach every subscribed session once acked"},
    {"I1b", "drops are reported"},
    {"I1c", "0x10 only without subscribers"},
    {"I2", "QoS 2 at most once"},
    {"I3", "order per publisher, topic and QoS"},
    {"I4", "retained: the last write wins"},
    {"I5", "retained: no ghost after a clear"},
    {"I6", "one live connection per session"},
    {"I7", "sessions and subscriptions last, unsubscribed ones do not"},
    {"I8", "wills exactly once, and only when due"},
    {"I9", "shared: one member gets it"},
    {"I10", "tenants never meet"},
    {"I11", "nothing delivered that was not sent"},
    {"I12", "nothing after its expiry"},
    {"I13", "receive maximum and packet ids"},
}};

struct Violation {
  Invariant invariant;
  std::string what;
  std::vector<std::uint32_t> events;
};

struct Tally {
  std::uint64_t judged = 0;      // things that could have been broken
  std::uint64_t excused = 0;     // things the history could not judge
  std::uint64_t violations = 0;  // also those whose details were left out
};

/// Invariant: `violations` holds at most `max_details` per invariant.
class Report {
 public:
  explicit Report(std::uint32_t max_details) : max_details_(max_details) {}

  void judge(Invariant i, std::uint64_t n = 1) { tally(i).judged += n; }
  void excuse(Invariant i, std::uint64_t n = 1) { tally(i).excused += n; }
  void violate(Invariant i, std::string what, std::vector<std::uint32_t> events);

  Tally& tally(Invariant i) { return tallies_[static_cast<std::size_t>(i)]; }
  const Tally& tally(Invariant i) const { return tallies_[static_cast<std::size_t>(i)]; }
  const std::vector<Violation>& violations() const { return violations_; }
  std::uint64_t total() const;

  /// For people: a table, then the violations with their events.
  std::string text(const History& history) const;
  /// For programs: one JSON object on one line.
  std::string json(const History& history) const;

 private:
  std::array<Tally, kInvariants> tallies_;
  std::vector<Violation> violations_;
  std::uint32_t max_details_;
};

}  // namespace skald::checker
