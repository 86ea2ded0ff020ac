#include "tests/sim/cases.h"

namespace skald::sim {

std::span<const ScriptedCase> scripted_cases() {
#define SKALD_CASE(name) \
  { #name, name }
  static constexpr ScriptedCase kCases[] = {
      SKALD_CASE(readded_on_the_same_store),
      SKALD_CASE(removed_while_away_stays_dead),
      SKALD_CASE(crash_at_every_step_of_a_joint_change),
      SKALD_CASE(lagging_parent_beside_its_moved_child),
      SKALD_CASE(split_and_snapshots_in_every_order),
      SKALD_CASE(vote_before_the_split_is_kept),
      SKALD_CASE(parent_destroyed_before_the_split_is_flushed),
      SKALD_CASE(parent_snapshot_before_the_split_is_replayed),
      SKALD_CASE(crash_at_every_step_of_a_snapshot_install),
      SKALD_CASE(late_first_chunk_of_a_snapshot),
      SKALD_CASE(serve_lease_after_a_paused_leader),
      SKALD_CASE(serve_lease_after_a_cut_off_replica),
      SKALD_CASE(paused_leader_beside_its_successor),
      SKALD_CASE(cut_off_replica_beside_a_reply),
      SKALD_CASE(end_life_against_a_slow_holder),
  };
#undef SKALD_CASE
  return kCases;
}

}  // namespace skald::sim
