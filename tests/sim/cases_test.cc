// The scripted cases, one named test each.
#define BOOST_TEST_MODULE cases
#include "tests/sim/cases.h"

#include <boost/test/unit_test.hpp>

namespace skald::sim {

#define SKALD_CASE_TEST(name)                                                  \
  BOOST_AUTO_TEST_CASE(name##_case) {                                          \
    const Violation violation = name();                                        \
    BOOST_TEST(violation.none(), violation.checker << ": " << violation.what); \
  }

SKALD_CASE_TEST(readded_on_the_same_store)
SKALD_CASE_TEST(removed_while_away_stays_dead)
SKALD_CASE_TEST(crash_at_every_step_of_a_joint_change)
SKALD_CASE_TEST(lagging_parent_beside_its_moved_child)
SKALD_CASE_TEST(split_and_snapshots_in_every_order)
SKALD_CASE_TEST(vote_before_the_split_is_kept)
SKALD_CASE_TEST(parent_destroyed_before_the_split_is_flushed)
SKALD_CASE_TEST(parent_snapshot_before_the_split_is_replayed)
SKALD_CASE_TEST(crash_at_every_step_of_a_snapshot_install)
SKALD_CASE_TEST(late_first_chunk_of_a_snapshot)
SKALD_CASE_TEST(serve_lease_after_a_paused_leader)
SKALD_CASE_TEST(serve_lease_after_a_cut_off_replica)
SKALD_CASE_TEST(paused_leader_beside_its_successor)
SKALD_CASE_TEST(cut_off_replica_beside_a_reply)
SKALD_CASE_TEST(end_life_against_a_slow_holder)

}  // namespace skald::sim
