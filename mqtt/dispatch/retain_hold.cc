#include "mqtt/dispatch/retain_hold.h"

#include "config/base/assert.h"

namespace skald::dispatch {

void RetainHold::hold_retained(std::uint64_t session, mqtt::PublicationRef publication,
                               std::optional<std::uint32_t> ticket) {
  to_store_.push_back(publication);
  awaited_.push_back(session);
  lines_[session].push_back({.publication = std::move(publication),
                             .session = session,
                             .ticket = ticket,
                             .sequence = ++last_sequence_});
}

void RetainHold::hold_behind(std::uint64_t session, mqtt::PublicationRef publication,
                             std::optional<std::uint32_t> ticket) {
  SKALD_ASSERT(holds(session));
  lines_[session].push_back(
      {.publication = std::move(publication), .session = session, .ticket = ticket});
}

std::vector<RetainHold::Held> RetainHold::stored(const std::vector<retain::StoreResult>& results) {
  std::vector<Held> ready;
  for (const retain::StoreResult result : results) {
    SKALD_ASSERT(!awaited_.empty());
    const auto line = lines_.find(awaited_.front());
    awaited_.pop_front();
    // Its own messages are stored in order, so the head of its line is the one.
    SKALD_ASSERT(line != lines_.end() && line->second.front().sequence != 0);
    line->second.front().result = result;
    do {
      ready.push_back(std::move(line->second.front()));
      line->second.pop_front();
    } while (!line->second.empty() && line->second.front().sequence == 0);
    if (line->second.empty()) lines_.erase(line);
  }
  return ready;
}

}  // namespace skald::dispatch
