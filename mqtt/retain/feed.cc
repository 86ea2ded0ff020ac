#include "mqtt/retain/feed.h"

#include <algorithm>

namespace skald::retain {

void Feed::add(Wanted wanted) {
  cancel(wanted.filter);
  line_.push_back(std::move(wanted));
}

void Feed::cancel(std::string_view filter) {
  if (line_.empty()) return;
  if (line_.front().filter == filter) {
    finish_head();
    return;  // a filter is in the line once
  }
  std::erase_if(line_, [filter](const Wanted& wanted) { return wanted.filter == filter; });
}

void Feed::finish_head() {
  line_.pop_front();
  messages_ = {};
  position_ = 0;
  looked_up_ = false;
}

const mqtt::PublicationRef* Feed::next(const RetainSnapshot& now, std::string_view tenant,
                                       mqtt::TimeMs now_ms) {
  while (!line_.empty()) {
    if (!looked_up_) {
      messages_ = now.match(tenant, line_.front().filter);
      looked_up_ = true;
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
