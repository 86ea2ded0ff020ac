#include "mqtt/retain/feed.h"

#include <algorithm>

namespace skald::retain {

void Feed::add(Wanted wanted, SnapshotRef from) {
  cancel(wanted.filter);
  line_.push_back({.wanted = std::move(wanted), .from = std::move(from)});
}

void Feed::cancel(std::string_view filter) {
  if (line_.empty()) return;
  if (line_.front().wanted.filter == filter) {
    finish_head();
    return;  // a filter is in the line once
  }
  std::erase_if(line_, [filter](const Waiting& one) { return one.wanted.filter == filter; });
}

void Feed::finish_head() {
  line_.pop_front();
  messages_ = {};
  position_ = 0;
}

const mqtt::PublicationRef* Feed::next(const RetainSnapshot& now, std::string_view tenant,
                                       mqtt::TimeMs now_ms) {
  while (!line_.empty()) {
    if (line_.front().from) {
      messages_ = line_.front().from->match(tenant, line_.front().wanted.filter);
      line_.front().from.reset();
    }
    while (position_ < messages_.size()) {
      const mqtt::PublicationRef& message = messages_[position_++];
      const mqtt::PublicationRef* stored = now.find(tenant, message->topic());
      const std::uint64_t expiry = message->info().expiry_ms;
      const bool stale = stored == nullptr || &**stored != &*message;
      if (!stale && (expiry == 0 || expiry > now_ms)) return &message;
    }
    finish_head();
  }
  return nullptr;
}

}  // namespace skald::retain
