// Sabotage: safety checks that a test build can switch off, one at a time, at run time.
//
// A guard is a number with a name, listed in the table of its module (kv/raft/guards.h). Code
// writes `SKALD_GUARD(Guard::kVoteOnce)` where the check is made: it is `true` in every build but
// one compiled with SKALD_SABOTAGE, where it is false for the selected number. The sabotage tests
// prove that a checker notices each missing guard (design.md section 9).
#pragma once

#ifdef SKALD_SABOTAGE
namespace skald {
/// The guard that is switched off; 0 for none. Only sabotage builds have it.
inline int sabotaged_guard = 0;
}  // namespace skald
#define SKALD_GUARD(guard) (static_cast<int>(guard) != ::skald::sabotaged_guard)
#else
#define SKALD_GUARD(guard) (static_cast<void>(guard), true)
#endif
