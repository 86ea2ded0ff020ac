#include "mqtt/retain/feed.h"

#include <algorithm>
#include <utility>

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
  walk_.reset();
  last_ = back_ = nullptr;
}

const mqtt::PublicationRef* Feed::next(const RetainSnapshot& now, std::string_view tenant,
                                       mqtt::TimeMs now_ms, std::size_t& steps) {
  while (!line_.empty()) {
    if (!walk_) {
      const Waiting& head = line_.front();
      walk_.emplace(head.from, tenant, head.wanted.filter);
    }
    bool more = true;
    while (more) {
      const bool again = back_ != nullptr;
      last_ = again ? std::exchange(back_, nullptr) : walk_->next(steps);
      if (last_ == nullptr) break;
      const mqtt::Publication& message = **last_;
      const mqtt::PublicationRef* stored = now.find(tenant, message.topic());
      const std::uint64_t expiry = message.info().expiry_ms;
      const mqtt::TimeMs until_ms = line_.front().wanted.until_ms;
      const bool later = until_ms != 0 && message.info().stamp_ms > until_ms;
      const bool stale = stored == nullptr || &**stored != &message;
      if (stale || later || (expiry != 0 && expiry <= now_ms)) continue;
      Waiting& head = line_.front();
      more = again || head.wanted.limit == 0 || head.given++ < head.wanted.limit;
      if (more) return last_;
    }
    if (more && !walk_->done()) return nullptr;
    finished_.push_back(std::move(line_.front().wanted.filter));
    finish_head();
    if (steps == 0) return nullptr;
  }
  return nullptr;
}

}  // namespace skald::retain
