#include "config/tenant_settings.h"

namespace skald::config {
namespace {

constexpr auto kYes = Standing::honoured;
constexpr auto kNo = Standing::forbidden;
constexpr std::int64_t kMost = std::numeric_limits<std::int64_t>::max();
constexpr std::int64_t kMost32 = std::numeric_limits<std::int32_t>::max();
constexpr std::int64_t kPayload = 256 * 1024;
constexpr std::int64_t kLargest = 268'435'455;

// clang-format off
constexpr TenantRow kRows[kTenantKeys] = {
  {"MQTT3Enabled", true, 0, 1, {1, 1, 1}, kYes, "MQTT 3.1 clients; else 0x01"},
  {"MQTT4Enabled", true, 0, 1, {1, 1, 1}, kYes, "MQTT 3.1.1 clients; else 0x01"},
  {"MQTT5Enabled", true, 0, 1, {1, 1, 1}, kYes, "MQTT 5.0 clients; else 0x84"},
  {"NoLWTWhenServerShuttingDown", true, 0, 1, {0, 0, 1}, kNo,
   "a will goes out whenever its connection ends without DISCONNECT [MQTT-3.1.2-8]"},
  {"DebugModeEnabled", true, 0, 1, {0, 0, 0}, kNo,
   "there are no events of single deliveries: log lines are bounded, metrics count"},
  {"ForceTransient", true, 0, 1, {0, 0, 0}, kYes, "sessions end with their connection"},
  {"ByPassPermCheckError", true, 0, 1, {0, 0, 1}, kNo,
   "a failed permission check refuses, always"},
  {"PayloadFormatValidationEnabled", true, 0, 1, {1, 1, 1}, kYes,
   "a payload said to be UTF-8 must be; else 0x99"},
  {"RetainEnabled", true, 0, 1, {1, 1, 1}, kYes, "retained messages; else 0x9A"},
  {"WildcardSubscriptionEnabled", true, 0, 1, {1, 1, 1}, kYes, "`+` and `#`; else 0xA2"},
  {"SubscriptionIdentifierEnabled", true, 0, 1, {1, 1, 1}, kYes,
   "subscription identifiers; else 0xA1"},
  {"SharedSubscriptionEnabled", true, 0, 1, {1, 1, 1}, kYes, "`$share`; else 0x9E"},
  {"MaximumQoS", false, 0, 2, {2, 2, 2}, kYes,
   "highest QoS; a publish above it gets 0x9B, a subscription what is left"},
  {"MaxTopicLevelLength", false, 1, 65535, {65535, 1024, 40}, kYes, "bytes of one level"},
  {"MaxTopicLevels", false, 1, 32768, {32768, 32, 16}, kYes, "levels of a topic or filter"},
  {"MaxTopicLength", false, 1, 65535, {65535, 4096, 255}, kYes, "bytes of a topic or filter"},
  {"MaxTopicAlias", false, 0, 65535, {65535, 10, 10}, kYes, "topic aliases of a client"},
  {"MaxSharedGroupMembers", false, 1, 10'000, {10'000, 1000, 200}, kYes,
   "members of a shared group; more get 0x97"},
  {"MaxTopicFiltersPerInbox", false, 1, kMost32, {kMost32, 1000, 100}, kYes,
   "subscriptions of a session; more get 0x97"},
  {"MsgPubPerSec", false, 0, kMost32, {0, 100, 200}, kYes,
   "publishes of a client a second; above it the connection ends with 0x96; 0 = no limit"},
  {"ReceivingMaximum", false, 1, 65535, {65535, 100, 200}, kYes,
   "unfinished QoS 1 and 2 messages of a client"},
  {"InBoundBandWidth", false, 0, kMost, {0, 0, 524'288}, kYes,
   "bytes/s from a client; above it its socket is not read until the second is over; 0 = no limit"},
  {"OutBoundBandWidth", false, 0, kMost, {0, 0, 524'288}, kYes,
   "bytes/s to a client; above it they wait, as for a slow receiver; 0 = no limit"},
  {"MaxLastWillBytes", false, 0, kLargest, {kLargest, 65535, 128}, kYes,
   "topic and payload of a will; more gets 0x97 at CONNECT"},
  {"MaxUserPayloadBytes", false, 1, kLargest, {kLargest, kPayload, kPayload}, kYes,
   "payload of a publish; more ends the connection with 0x95"},
  {"MinSendPerSec", false, 0, kMost32, {0, 0, 8}, kNo,
   "the send window is what the client takes, up to `max_inflight`, and never adapted"},
  {"MaxResendTimes", false, 0, kMost32, {0, 0, 3}, kNo,
   "nothing is sent again on a live connection [MQTT-4.4.0-1]"},
  {"ResendTimeoutSeconds", false, 0, kMost32, {0, 0, 10}, kNo, "likewise"},
  {"MaxTopicFiltersPerSub", false, 1, 65535, {65535, 500, 10}, kYes,
   "filters in one SUBSCRIBE; more get 0x97"},
  {"MaxGroupFanout", false, 0, kMost32, {0, 0, 100}, kYes,
   "shared groups that get one message, the first by name; to more it is lost; 0 = no limit"},
  {"MaxPersistentFanout", false, 0, kMost, {kMost32, kMost32, kMost32}, kYes,
   "persistent receivers of one message; to more it is lost, as with a full queue"},
  {"MaxPersistentFanoutBytes", false, 0, kMost, {kMost, kMost, kMost}, kYes,
   "their bytes; likewise"},
  {"MaxSessionExpirySeconds", false, 0, 4'294'967'295, {4'294'967'295, 604'800, 86'400}, kYes,
   "longest session expiry"},
  {"MinSessionExpirySeconds", false, 0, 4'294'967'295, {0, 0, 60}, kYes,
   "shortest session expiry other than 0"},
  {"MinKeepAliveSeconds", false, 0, 65535, {0, 0, 60}, kYes,
   "keep-alive told to v5 clients that wish a shorter one; 3.x cannot be told and keep theirs"},
  {"SessionInboxSize", false, 1, 10'000'000, {10'000'000, 1000, 1000}, kYes,
   "messages that wait for a session"},
  {"QoS0DropOldest", true, 0, 1, {0, 0, 0}, kNo,
   "QoS 0 does not queue: it is written or dropped at once, so there is no oldest"},
  {"RetainMessageMatchLimit", false, 0, kMost32, {0, 0, 10}, kYes,
   "retained messages for a new subscription; 0 = all"},

  {"TotalConnections", false, 0, kMost, {}, kYes, "connections; more get 0x97"},
  {"TotalSessionMemoryBytes", false, 0, kMost, {}, kNo,
   "memory is not counted by tenant; TotalConnections and the limits of a session bound it"},
  {"TotalPersistentSessions", false, 0, kMost, {}, kYes,
   "sessions that outlive their connection; a new one more gets 0x97 at CONNECT"},
  {"TotalPersistentSessionSpaceBytes", false, 0, kMost, {}, kYes,
   "bytes in their queues; what is over is dropped and counted, as by a full queue"},
  {"TotalSharedSubscriptions", false, 0, kMost, {}, kYes,
   "shared subscriptions, of persistent sessions too; 0x97"},
  {"TotalTransientSubscriptions", false, 0, kMost, {}, kYes,
   "other subscriptions of sessions that end with their connection; 0x97"},
  {"TotalPersistentSubscriptions", false, 0, kMost, {}, kYes,
   "other subscriptions of persistent sessions; 0x97"},
  {"TotalRetainMessageSpaceBytes", false, 0, kMost, {}, kYes,
   "bytes of retained messages; more are refused with 0x97"},
  {"TotalRetainTopics", false, 0, kMost, {}, kYes,
   "topics with a retained message; more are refused with 0x97"},
  {"TotalConnectPerSecond", false, 0, kMost, {}, kYes, "CONNECTs; more get 0x9F"},
  {"TotalInboundBytesPerSecond", false, 0, kMost, {}, kYes,
   "publishes in bytes; QoS 0 is dropped, QoS 1 and 2 get 0x97"},
  {"TotalTransientSubscribePerSecond", false, 0, kMost, {}, kYes, "subscriptions made; 0x97"},
  {"TotalPersistentSubscribePerSecond", false, 0, kMost, {}, kYes,
   "those of persistent sessions; 0x97"},
  {"TotalTransientUnsubscribePerSecond", false, 0, kMost, {}, kNo,
   "to let go is never refused"},
  {"TotalPersistentUnsubscribePerSecond", false, 0, kMost, {}, kNo, "likewise"},
  {"TotalTransientFanOutBytesPerSeconds", false, 0, kMost, {}, kYes,
   "bytes handed to sessions that end with their connection; more is lost, as with a full queue"},
  {"TotalPersistentFanOutBytesPerSeconds", false, 0, kMost, {}, kYes,
   "bytes stored for persistent sessions; more is lost, as with a full queue"},
  {"TotalRetainedMessagesPerSeconds", false, 0, kMost, {}, kYes,
   "retained messages stored; more get 0x97"},
  {"TotalRetainedBytesPerSecond", false, 0, kMost, {}, kYes, "their bytes; 0x97"},
  {"TotalRetainMatchPerSeconds", false, 0, kMost, {}, kYes,
   "subscriptions that get retained messages; more get none"},
  {"TotalRetainMatchBytesPerSecond", false, 0, kMost, {}, kYes,
   "bytes of them; what is over comes later"},
};
// clang-format on

}  // namespace

std::span<const TenantRow> tenant_rows() { return kRows; }

TenantSettings::TenantSettings(TenantProfile profile) : profile_(profile) {
  for (std::size_t i = 0; i < kTenantKeys; ++i) {
    values_[i] = kRows[i].defaults[static_cast<std::size_t>(profile)];
  }
}

}  // namespace skald::config
