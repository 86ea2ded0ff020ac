// Sessions in an inbox: what is resumed, ids and windows, QoS 2 over reconnects, expiry.
#include <boost/test/unit_test.hpp>

#include "config/base/random.h"
#include "mqtt/codec/encoder.h"
#include "mqtt/session/accepted_publishes.h"
#include "mqtt/session/session.h"
#include "mqtt/session/stored_flow.h"
#include "tests/session/peer.h"
#include "tests/session/stored_world.h"

namespace skald::session {
namespace {

BOOST_AUTO_TEST_SUITE(stored)

BOOST_AUTO_TEST_CASE(against_models_at_random) {
  testing::StoredWorld::Tally sum;
  for (std::uint64_t seed = 1; seed <= 1500; ++seed) {
    Random random(seed);
    testing::StoredWorld world(
        [&random](std::uint32_t n) { return static_cast<std::uint32_t>(random.below(n)); });
    for (int i = 0; i < 1500 && world.fault().empty(); ++i) world.step();
    world.heal();
    BOOST_REQUIRE_MESSAGE(world.fault().empty(), "seed " << seed << ": " << world.fault());
    const testing::StoredWorld::Tally& tally = world.tally();
    sum.connections += tally.connections;
    sum.resumed_receipts += tally.resumed_receipts;
    sum.repeats += tally.repeats;
    sum.fetches += tally.fetches;
    sum.no_room += tally.no_room;
    sum.got += tally.got;
    sum.published += tally.published;
    sum.dups += tally.dups;
  }
  BOOST_TEST_MESSAGE(sum.connections << " connections, " << sum.resumed_receipts
                                     << " PUBREL again, " << sum.repeats << " handed out again, "
                                     << sum.fetches << " fetches, " << sum.no_room << " no room, "
                                     << sum.got << " got, " << sum.published << " published, "
                                     << sum.dups << " duplicates");
  for (const int met : {sum.connections, sum.resumed_receipts, sum.repeats, sum.fetches,
                        sum.no_room, sum.got, sum.published, sum.dups}) {
    BOOST_TEST(met > 1000);
  }
}

BOOST_AUTO_TEST_SUITE_END()

}  // namespace
}  // namespace skald::session
