#include "mqtt/dispatch/fed_memory.h"

#include <algorithm>

#include "mqtt/topic/topic.h"

namespace skald::dispatch {

void FedMemory::remember(std::uint64_t number, std::string_view filter,
                         const mqtt::Publication& message, mqtt::TimeMs now_ms) {
  const mqtt::PublicationInfo& info = message.info();
  if (info.stamp_ms + kWindowMs <= now_ms) return;
  Key key(number, message.topic());
  auto found = fed_.find(key);
  if (found == fed_.end()) {
    if (fed_.size() >= kMax) return;
    line_.emplace_back(now_ms + kWindowMs, key);
    found = fed_.try_emplace(std::move(key)).first;
  }
  Fed& fed = found->second;
  fed.publisher = info.publisher;
  fed.sequence = info.sequence;
  fed.until_ms = now_ms + kWindowMs;
  if (std::find(fed.filters.begin(), fed.filters.end(), filter) == fed.filters.end()) {
    fed.filters.emplace_back(filter);
  }
}

void FedMemory::remember_live(const session::Session& session, const mqtt::Publication& live,
                              mqtt::TimeMs now_ms) {
  if (session.subscriptions() == nullptr) return;
  for (const auto& [filter, subscription] : *session.subscriptions()) {
    const topic::Filter parsed = topic::parse_filter(filter);
    if (parsed.shared() || !topic::matches(parsed.filter, live.topic())) continue;
    remember(session.number, parsed.filter, live, now_ms);
  }
}

bool FedMemory::knows(std::uint64_t number, std::string_view filter,
                      const mqtt::Publication& message) const {
  const auto found = fed_.find(Key(number, message.topic()));
  if (found == fed_.end()) return false;
  const Fed& had = found->second;
  return had.publisher == message.info().publisher && had.sequence >= message.info().sequence &&
         std::find(had.filters.begin(), had.filters.end(), filter) != had.filters.end();
}

bool FedMemory::supersedes(const session::Session& session, std::uint64_t number,
                           const mqtt::PublicationView& live) const {
  const auto found = fed_.find(Key(number, live.topic));
  if (found == fed_.end()) return false;
  const Fed& fed = found->second;
  if (fed.publisher != live.info.publisher || fed.sequence < live.info.sequence) return false;
  if (session.subscriptions() == nullptr) return false;
  for (const auto& [filter, subscription] : *session.subscriptions()) {
    const topic::Filter parsed = topic::parse_filter(filter);
    if (parsed.shared() || !topic::matches(parsed.filter, live.topic)) continue;
    const auto same = std::find(fed.filters.begin(), fed.filters.end(), parsed.filter);
    if (same == fed.filters.end()) return false;
  }
  return true;
}

void FedMemory::tick(mqtt::TimeMs now_ms) {
  while (!line_.empty() && line_.front().first <= now_ms) {
    Key key = std::move(line_.front().second);
    line_.pop_front();
    const auto found = fed_.find(key);
    if (found->second.until_ms <= now_ms) {
      fed_.erase(found);
    } else {
      line_.emplace_back(found->second.until_ms, std::move(key));  // fed again since
    }
  }
}

}  // namespace skald::dispatch
