// The small parts of a session: send window, packet id set, directory.
#include <boost/test/unit_test.hpp>
#include <map>
#include <set>

#include "config/base/random.h"
#include "mqtt/session/packet_id_set.h"
#include "mqtt/session/send_window.h"

namespace skald::session {
namespace {

using codec::QoS;
using Stage = SendWindow::Stage;

BOOST_AUTO_TEST_SUITE(send_window)

BOOST_AUTO_TEST_CASE(ids_in_sequence_and_round) {
  SendWindow window;
  window.set_size(3);
  for (std::uint32_t i = 1; i <= 65535 + 10; ++i) {
    const std::uint16_t id = window.take(QoS::at_least_once);
    BOOST_REQUIRE_EQUAL(id, i <= 65535 ? i : i - 65535);  // never 0 [MQTT-2.2.1-3]
    BOOST_REQUIRE(window.stage(id) == Stage::awaits_puback);
    window.release(id);
    BOOST_REQUIRE(window.stage(id) == Stage::free);
  }
}

BOOST_AUTO_TEST_CASE(never_more_than_its_size) {
  for (const int many : {1, 2, 15, 16, 17, 100, 1000, 65535}) {
    const auto size = static_cast<std::uint16_t>(many);
    SendWindow window;
    window.set_size(size);
    for (std::uint32_t i = 0; i < size; ++i) BOOST_REQUIRE(window.take(QoS::exactly_once) != 0);
    BOOST_REQUIRE_EQUAL(window.take(QoS::exactly_once), 0);
    BOOST_REQUIRE_EQUAL(window.open(), size);
    window.received(1);
    BOOST_REQUIRE(window.stage(1) == Stage::awaits_pubcomp);
    window.release(1);
    BOOST_REQUIRE_EQUAL(window.open(), size - 1);
    window.shrink();
    BOOST_REQUIRE_EQUAL(window.open(), size - 1);
  }
}

BOOST_AUTO_TEST_CASE(unknown_ids) {
  SendWindow window;
  window.set_size(20);
  const auto is_free = [&](int id) {
    return window.stage(static_cast<std::uint16_t>(id)) == Stage::free;
  };
  for (const int id : {0, 1, 16, 65535}) BOOST_TEST(is_free(id));
  BOOST_REQUIRE_EQUAL(window.take(QoS::at_least_once), 1);
  for (const int id : {0, 2, 17, 33, 65535}) BOOST_TEST(is_free(id));
}

/// Acks in any order; a set of open ids as the model. Each id is free when it is given.
BOOST_AUTO_TEST_CASE(random_against_set) {
  for (std::uint64_t seed = 1; seed <= 60; ++seed) {
    BOOST_TEST_CONTEXT("seed " << seed) {
      Random random(seed);
      SendWindow window;
      const auto size = static_cast<std::uint16_t>(random.between(1, 300));
      window.set_size(size);
      std::map<std::uint16_t, Stage> open;
      std::uint64_t shut = 0;
      for (int step = 0; step < 20'000; ++step) {
        if (random.chance(4, 7)) {
          const QoS qos = random.one_in(2) ? QoS::at_least_once : QoS::exactly_once;
          const std::uint16_t id = window.take(qos);
          if (id == 0) {
            BOOST_REQUIRE(!open.empty());  // else it would stay shut for ever
            ++shut;
            continue;
          }
          BOOST_REQUIRE(!open.contains(id));
          open[id] = qos == QoS::at_least_once ? Stage::awaits_puback : Stage::awaits_pubrec;
          BOOST_REQUIRE_LE(open.size(), size);
        } else if (!open.empty()) {
          auto at = open.begin();
          std::advance(at, static_cast<long>(random.below(std::min<std::size_t>(open.size(), 40))));
          BOOST_REQUIRE(window.stage(at->first) == at->second);
          if (at->second == Stage::awaits_pubrec) {
            window.received(at->first);
            at->second = Stage::awaits_pubcomp;
          } else {
            window.release(at->first);
            open.erase(at);
          }
        }
        if (random.one_in(100)) window.shrink();
        BOOST_REQUIRE_EQUAL(window.open(), open.size());
        const auto any = static_cast<std::uint16_t>(random.below(65536));
        const auto known = open.find(any);
        BOOST_REQUIRE(window.stage(any) == (known == open.end() ? Stage::free : known->second));
      }
      BOOST_TEST(shut > 0U);
    }
  }
}

/// What is kept comes back oldest first, also when the ids wrapped and the ring grew.
BOOST_AUTO_TEST_CASE(kept_messages) {
  const GroupKeyRef group = std::make_shared<const GroupKey>(GroupKey{"g", "f"});
  SendWindow window;
  window.set_size(200);
  for (std::uint32_t i = 0; i < 65500; ++i) window.release(window.take(QoS::at_least_once));
  std::vector<std::uint64_t> expected;
  for (std::uint64_t i = 1; i <= 100; ++i) {
    const std::uint16_t id = window.take(QoS::at_least_once);
    BOOST_REQUIRE(id != 0);
    if (i % 3 == 0) continue;
    mqtt::PublicationInfo info;
    info.sequence = i;
    window.keep(id, {mqtt::Publication::make(info, "t", "f", {}, {}), group, 0});
    if (i % 5 == 0) {
      window.release(id);
    } else {
      expected.push_back(i);
    }
  }
  std::vector<std::uint64_t> found;
  window.drain_kept([&](SharedMessage message, Stage stage) {
    BOOST_CHECK(stage == Stage::awaits_puback);
    BOOST_CHECK(message.group == group);
    found.push_back(message.publication->info().sequence);
  });
  BOOST_TEST(found == expected);
  BOOST_CHECK_EQUAL(window.open(), 0);
}

BOOST_AUTO_TEST_SUITE_END()

BOOST_AUTO_TEST_CASE(packet_id_set) {
  PacketIdSet ids;
  std::set<std::uint16_t> model;
  Random random(7);
  const auto check = [&](std::uint16_t id, bool insert) {
    if (insert) {
      BOOST_REQUIRE_EQUAL(ids.insert(id), model.insert(id).second);
    } else {
      BOOST_REQUIRE_EQUAL(ids.erase(id), model.erase(id) == 1);
    }
    BOOST_REQUIRE_EQUAL(ids.size(), model.size());
    BOOST_REQUIRE_EQUAL(ids.contains(id), model.contains(id));
  };
  for (const int id : {0, 1, 63, 64, 1023, 1024, 65535})
    check(static_cast<std::uint16_t>(id), true);
  for (int i = 0; i < 50'000; ++i) {
    check(static_cast<std::uint16_t>(random.below(random.one_in(3) ? 65536 : 1100)),
          random.one_in(2));
  }
  for (const std::uint16_t id : std::set<std::uint16_t>(model)) check(id, false);
  for (std::uint32_t id = 0; id < 65536; ++id) check(static_cast<std::uint16_t>(id), true);
  for (std::uint32_t id = 0; id < 65536; ++id) check(static_cast<std::uint16_t>(id), false);
}

}  // namespace
}  // namespace skald::session
