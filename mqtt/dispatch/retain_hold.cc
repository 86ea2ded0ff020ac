#include "mqtt/dispatch/retain_hold.h"

#include <algorithm>

#include "config/base/assert.h"

namespace skald::dispatch {

std::uint64_t RetainHold::hold(std::uint64_t session, mqtt::PublicationRef publication,
                               const Manner& manner) {
  const bool retained = publication->info().retain;
  const std::uint64_t number = ++last_number_;
  if (retained) {
    retained_.emplace(number, publication->info().stamp_ms);
    to_store_.push_back(publication);
    awaited_.emplace_back(session, number);
  }
  lines_[session].push_back({.publication = std::move(publication),
                             .session = session,
                             .ticket = manner.ticket,
                             .packet_id = manner.packet_id,
                             .number = number,
                             .awaits = (retained ? 1U : 0U) + (manner.accept ? 1U : 0U)});
  return number;
}

RetainHold::Held& RetainHold::find(std::uint64_t session, std::uint64_t number) {
  const auto line = lines_.find(session);
  SKALD_ASSERT(line != lines_.end());
  const auto held =
      std::lower_bound(line->second.begin(), line->second.end(), number,
                       [](const Held& one, std::uint64_t wanted) { return one.number < wanted; });
  SKALD_ASSERT(held != line->second.end() && held->number == number && held->awaits > 0);
  return *held;
}

void RetainHold::release(std::uint64_t session, std::vector<Held>& ready) {
  const auto line = lines_.find(session);
  while (!line->second.empty() && line->second.front().awaits == 0) {
    retained_.erase(line->second.front().number);
    ready.push_back(std::move(line->second.front()));
    line->second.pop_front();
  }
  if (line->second.empty()) lines_.erase(line);
}

std::vector<RetainHold::Held> RetainHold::stored(const std::vector<retain::StoreResult>& results) {
  std::vector<Held> ready;
  for (const retain::StoreResult result : results) {
    SKALD_ASSERT(!awaited_.empty());
    const auto [session, number] = awaited_.front();
    awaited_.pop_front();
    Held& held = find(session, number);
    held.result = result;
    if (--held.awaits == 0) release(session, ready);
  }
  return ready;
}

std::vector<RetainHold::Held> RetainHold::accepted(std::uint64_t session, std::uint64_t number,
                                                   bool ok) {
  std::vector<Held> ready;
  Held& held = find(session, number);
  if (!ok) held.refused = true;
  if (--held.awaits == 0) release(session, ready);
  return ready;
}

}  // namespace skald::dispatch
