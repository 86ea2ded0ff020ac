#include "mqtt/dispatch/live_memory.h"

#include <algorithm>

#include "mqtt/topic/topic.h"

namespace skald::dispatch {

void LiveMemory::remember(const session::Session& session, const mqtt::Publication& live,
                          mqtt::TimeMs now_ms) {
  const mqtt::PublicationInfo& info = live.info();
  if (info.stamp_ms + kWindowMs <= now_ms || session.subscriptions() == nullptr) return;
  Key key(session.number, live.topic());
  auto found = had_.find(key);
  if (found == had_.end()) {
    if (had_.size() >= kMax) return;
    line_.emplace_back(now_ms + kWindowMs, key);
    found = had_.try_emplace(std::move(key)).first;
  }
  Had& had = found->second;
  had.publisher = info.publisher;
  had.sequence = info.sequence;
  had.until_ms = now_ms + kWindowMs;
  had.filters.clear();
  for (const auto& [filter, subscription] : *session.subscriptions()) {
    const topic::Filter parsed = topic::parse_filter(filter);
    if (parsed.shared() || !topic::matches(parsed.filter, live.topic())) continue;
    had.filters.emplace_back(parsed.filter);
  }
}

bool LiveMemory::knows(std::uint64_t number, std::string_view filter,
                       const mqtt::Publication& message) const {
  if (had_.empty()) return false;
  const auto found = had_.find(Key(number, message.topic()));
  if (found == had_.end()) return false;
  const Had& had = found->second;
  return had.publisher == message.info().publisher && had.sequence >= message.info().sequence &&
         std::find(had.filters.begin(), had.filters.end(), filter) != had.filters.end();
}

void LiveMemory::tick(mqtt::TimeMs now_ms) {
  while (!line_.empty() && line_.front().first <= now_ms) {
    Key key = std::move(line_.front().second);
    line_.pop_front();
    const auto found = had_.find(key);
    if (found->second.until_ms <= now_ms) {
      had_.erase(found);
    } else {
      line_.emplace_back(found->second.until_ms, std::move(key));  // had again since
    }
  }
}

}  // namespace skald::dispatch
