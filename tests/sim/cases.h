// Scripted cases of ranges, stores and leases: schedules that random seeds reach rarely, one each.
//
// Each is a named test (cases_test.cc) and, with a guard switched off, a witness for the sabotage
// program. The list, and the golden scripts of Raft beside it, is in README.md of this folder.
#pragma once

#include <span>

#include "tests/sim/outcome.h"

namespace skald::sim {

struct ScriptedCase {
  const char* name;
  Violation (*run)();
};

std::span<const ScriptedCase> scripted_cases();

// members_cases.cc
Violation readded_on_the_same_store();
Violation removed_while_away_stays_dead();
Violation crash_at_every_step_of_a_joint_change();

// split_cases.cc
Violation lagging_parent_beside_its_moved_child();
Violation split_and_snapshots_in_every_order();
Violation vote_before_the_split_is_kept();
Violation parent_destroyed_before_the_split_is_flushed();
Violation parent_snapshot_before_the_split_is_replayed();

// install_cases.cc
Violation crash_at_every_step_of_a_snapshot_install();
Violation late_first_chunk_of_a_snapshot();

// lease_cases.cc
Violation serve_lease_after_a_paused_leader();
Violation serve_lease_after_a_cut_off_replica();
Violation paused_leader_beside_its_successor();
Violation cut_off_replica_beside_a_reply();

// life_cases.cc
Violation end_life_against_a_slow_holder();

}  // namespace skald::sim
