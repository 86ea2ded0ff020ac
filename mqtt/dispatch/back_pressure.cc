#include "mqtt/dispatch/back_pressure.h"

#include <algorithm>

namespace skald::dispatch {

using session::Session;

BackPressure::Receiver& BackPressure::receiver(Session& session, mqtt::TimeMs now_ms) {
  const auto [found, added] = receivers_.try_emplace(&session);
  if (added) {
    found->second.since_ms = now_ms;
    deadlines_.push_back({now_ms, &session});
  }
  return found->second;
}

void BackPressure::wait(Session& publisher, Session& to, mqtt::TimeMs now_ms) {
  if (to.slow()) return;
  PublisherState& state = publishers_[&publisher];
  std::vector<Session*>& waits_for = state.waits_for;
  if (std::find(waits_for.begin(), waits_for.end(), &to) != waits_for.end()) return;
  waits_for.push_back(&to);
  receiver(to, now_ms).publishers.push_back(&publisher);
  update(publisher, state);
}

void BackPressure::wait(const Credit& batch, const std::vector<Session*>& receivers,
                        mqtt::TimeMs now_ms) {
  RemoteWait wait{.credit = batch};
  const std::uint64_t key = ++last_remote_;
  for (Session* to : receivers) {
    if (to->slow()) continue;
    receiver(*to, now_ms).remote.push_back(key);
    ++wait.receivers;
  }
  if (wait.receivers == 0) {
    credits_.push_back(batch);
  } else {
    remote_.emplace(key, wait);
  }
}

void BackPressure::lend(Session& publisher, std::uint64_t bytes) {
  PublisherState& state = publishers_[&publisher];
  state.lent_bytes += bytes;
  update(publisher, state);
}

void BackPressure::give_back(Session& publisher, std::uint64_t bytes) {
  const auto found = publishers_.find(&publisher);
  if (found == publishers_.end()) return;
  found->second.lent_bytes -= std::min(bytes, found->second.lent_bytes);
  update(publisher, found->second);
}

/// Sets or lifts the block; drops the state of a publisher that nothing holds.
void BackPressure::update(Session& publisher, const PublisherState& state) {
  const bool blocked =
      !state.waits_for.empty() || state.lent_bytes > options_.publisher_credit_bytes;
  if (publisher.publish_blocked() && !blocked) released_.push_back(&publisher);
  publisher.set_publish_blocked(blocked);
  if (state.waits_for.empty() && state.lent_bytes == 0) publishers_.erase(&publisher);
}

void BackPressure::release(Session& to) {
  const auto found = receivers_.find(&to);
  if (found == receivers_.end()) return;
  const Receiver gone = std::move(found->second);
  receivers_.erase(found);
  for (Session* publisher : gone.publishers) {
    const auto state = publishers_.find(publisher);
    if (state == publishers_.end()) continue;
    std::erase(state->second.waits_for, &to);
    update(*publisher, state->second);
  }
  for (const std::uint64_t key : gone.remote) {
    const auto waiting = remote_.find(key);
    if (--waiting->second.receivers > 0) continue;
    credits_.push_back(waiting->second.credit);
    remote_.erase(waiting);
  }
}

void BackPressure::progressed(Session& to) {
  if (to.behind()) return;
  to.set_slow(false);
  if (!receivers_.empty()) release(to);
}

void BackPressure::tick(mqtt::TimeMs now_ms) {
  while (!deadlines_.empty() &&
         now_ms >= deadlines_.front().since_ms + options_.slow_receiver_timeout_ms) {
    const Deadline due = deadlines_.front();
    deadlines_.pop_front();
    const auto found = receivers_.find(due.receiver);
    if (found == receivers_.end() || found->second.since_ms != due.since_ms) continue;
    due.receiver->set_slow(true);
    ++slow_total_;
    release(*due.receiver);
  }
}

void BackPressure::forget(Session& session) {
  release(session);
  if (const auto found = publishers_.find(&session); found != publishers_.end()) {
    for (Session* to : found->second.waits_for) {
      std::erase(receivers_.find(to)->second.publishers, &session);
    }
    publishers_.erase(found);
  }
  session.set_publish_blocked(false);
  std::erase(released_, &session);
}

}  // namespace skald::dispatch
