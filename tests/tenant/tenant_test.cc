#define BOOST_TEST_MODULE tenant
#include <boost/test/unit_test.hpp>

#include "mqtt/tenant/limits.h"
#include "mqtt/tenant/usage.h"

namespace skald::tenant {
namespace {

using config::TenantKey;
using config::TenantProfile;
using config::TenantSettings;

BOOST_AUTO_TEST_CASE(home_is_what_mqtt_says) {
  for (const bool plain : {true, false}) {
    config::MqttOptions mqtt;
    if (!plain) {
      mqtt.max_topic_levels = 5;
      mqtt.max_queued_messages = 7;
      mqtt.retain_available = false;
      mqtt.receive_maximum = 65535;
    }
    BOOST_TEST((limits_of(mqtt, TenantSettings()) == node_limits(mqtt)));
  }
}

BOOST_AUTO_TEST_CASE(a_tenant_narrows_and_never_widens) {
  config::MqttOptions mqtt;
  mqtt.max_topic_levels = 10;
  mqtt.shared_subscription_available = false;
  TenantSettings tenant(TenantProfile::bifromq);
  const session::Limits bifromq = limits_of(mqtt, tenant);
  BOOST_TEST(bifromq.max_topic_levels == 10);  // not 16
  BOOST_TEST(bifromq.max_topic_bytes == 255);
  BOOST_TEST(bifromq.max_topic_level_bytes == 40);
  BOOST_TEST(bifromq.max_filters_per_subscribe == 10);
  BOOST_TEST(bifromq.max_subscriptions == 100U);
  BOOST_TEST(bifromq.receive_maximum == 200);
  BOOST_TEST(bifromq.max_will_bytes == 128U);
  BOOST_TEST(bifromq.max_payload_bytes == 262'144U);
  BOOST_TEST(bifromq.publishes_per_second == 200U);
  BOOST_TEST(bifromq.bytes_in_per_second == 524'288U);
  BOOST_TEST(bifromq.bytes_out_per_second == 524'288U);
  BOOST_TEST(bifromq.max_group_members == 200U);
  BOOST_TEST(bifromq.min_keep_alive_s == 60);
  BOOST_TEST(bifromq.max_session_expiry_s == 86'400U);
  BOOST_TEST(bifromq.persistent_available);
  BOOST_TEST(!bifromq.shared_available);
  BOOST_TEST(!bifromq.metered);
  tenant.set(TenantKey::maximum_qos, 1);
  tenant.set(TenantKey::mqtt3_enabled, 0);
  tenant.set(TenantKey::force_transient, 1);
  tenant.set(TenantKey::total_retained_bytes_per_second, 1);
  const session::Limits set = limits_of(mqtt, tenant);
  BOOST_TEST(set.maximum_qos == 1);
  BOOST_TEST(!set.v31_available);
  BOOST_TEST(set.v311_available);
  BOOST_TEST(!set.persistent_available);
  BOOST_TEST(set.metered);
}

BOOST_AUTO_TEST_CASE(what_has_no_effect_is_told) {
  config::Options options;
  options.tenants.push_back({.name = "plain", .settings = TenantSettings()});
  BOOST_TEST(warnings(options).empty());
  options.tenants.push_back({.name = "b", .settings = TenantSettings(TenantProfile::bifromq)});
  const std::vector<std::string> lines = warnings(options);
  BOOST_REQUIRE(lines.size() == 1U);
  for (const char* name : {"NoLWTWhenServerShuttingDown", "ByPassPermCheckError", "MaxResendTimes",
                           "ResendTimeoutSeconds", "MinSendPerSec", "[tenant.b]"}) {
    BOOST_TEST(lines[0].find(name) != std::string::npos);
  }
  BOOST_TEST(lines[0].find("InBoundBandWidth") == std::string::npos);
  BOOST_TEST(lines[0].find("MaxTopicLevels") == std::string::npos);
}

BOOST_AUTO_TEST_CASE(amounts_are_taken_and_given_back) {
  Usage usage;
  TenantSettings settings;
  settings.set(TenantKey::total_connections, 2);
  usage.set_limits("red", settings);
  BOOST_TEST(usage.take("red", TenantKey::total_connections));
  BOOST_TEST(usage.take("red", TenantKey::total_connections));
  BOOST_TEST(!usage.take("red", TenantKey::total_connections));
  BOOST_TEST(usage.refused("red", TenantKey::total_connections) == 1U);
  BOOST_TEST(usage.refused("blue", TenantKey::total_connections) == 0U);
  for (int i = 0; i < 5; ++i) BOOST_TEST(usage.take("blue", TenantKey::total_connections));
  BOOST_TEST(usage.in_use("blue", TenantKey::total_connections) == 5U);
  usage.give_back("red", TenantKey::total_connections);
  BOOST_TEST(usage.take("red", TenantKey::total_connections));
  settings.set(TenantKey::total_connections, 1);
  usage.set_limits("red", settings);  // one too many stays until it goes
  usage.give_back("red", TenantKey::total_connections);
  BOOST_TEST(!usage.take("red", TenantKey::total_connections));
  usage.clear_limits();
  BOOST_TEST(usage.take("red", TenantKey::total_connections));
  BOOST_TEST(usage.in_use("red", TenantKey::total_connections) == 2U);
}

BOOST_AUTO_TEST_CASE(what_ranges_hold_counts_with_what_is_on_its_way) {
  constexpr auto kSessions = TenantKey::total_persistent_sessions;
  Usage usage;
  TenantSettings settings;
  settings.set(kSessions, 3);
  usage.set_limits("red", settings);
  usage.stored("red", kSessions, 1);
  BOOST_TEST(usage.reserve("red", kSessions));
  BOOST_TEST(usage.reserve("red", kSessions));
  BOOST_TEST(!usage.reserve("red", kSessions));
  BOOST_TEST(!usage.exhausted("red", kSessions));  // reserved is not taken
  BOOST_TEST(usage.refused("red", kSessions) == 0U);
  usage.stored("red", kSessions, 2);  // before who reserved has heard of it
  BOOST_TEST(usage.exhausted("red", kSessions));
  BOOST_TEST(usage.refused("red", kSessions) == 1U);
  usage.release("red", kSessions, 2);
  BOOST_TEST(!usage.reserve("red", kSessions));
  BOOST_TEST(usage.in_use("red", kSessions) == 3U);
  usage.stored("red", kSessions, -1);
  BOOST_TEST(!usage.exhausted("red", kSessions));
  BOOST_TEST(usage.exhausted("red", kSessions, 2));
  BOOST_TEST(usage.reserve("red", kSessions));
  BOOST_TEST(usage.reserve("blue", kSessions, 1000));
  usage.clear_limits();
  BOOST_TEST(usage.reserve("red", kSessions, 1000));
}

BOOST_AUTO_TEST_CASE(rates_hold_over_time_and_let_a_burst_of_a_second_pass) {
  constexpr auto kRate = TenantKey::total_inbound_bytes_per_second;
  Usage usage;
  TenantSettings settings;
  settings.set(kRate, 1000);
  usage.set_limits("red", settings);
  std::uint64_t now = 5000;
  std::uint64_t passed = 0;
  for (; now < 15'000; ++now) {
    for (int i = 0; i < 5; ++i) passed += usage.spend("red", kRate, 100, now) ? 100 : 0;
    BOOST_TEST(usage.spend("blue", kRate, 1'000'000, now));
  }
  BOOST_TEST(passed >= 10'000U);
  BOOST_TEST(passed <= 11'100U);
  BOOST_TEST(usage.refused("red", kRate) > 0U);
  now += 10'000;
  BOOST_TEST(usage.spend("red", kRate, 5000, now));  // more than a second's worth at once
  BOOST_TEST(!usage.spend("red", kRate, 1, now + 3900));
  BOOST_TEST(usage.spend("red", kRate, 1, now + 4100));
  BOOST_TEST(usage.spend("red", kRate, ~std::uint64_t{0}, now + 9000));
  BOOST_TEST(usage.spend("red", kRate, 1, now + 9000 + 62'000));  // not for good
  BOOST_TEST(!usage.spend("red", kRate, 10'000, 1) == false);     // a clock that went back
}

}  // namespace
}  // namespace skald::tenant
