#include "mqtt/dispatch/node_routes.h"

#include <algorithm>
#include <utility>

#include "config/base/assert.h"

namespace skald::dispatch {

LoopMask NodeRoutes::mask_of(const Key& key) const {
  const topic::FilterTrie<LoopMask>* trie = interest_.find(key.first);
  const LoopMask* mask = trie == nullptr ? nullptr : trie->find(key.second);
  return mask == nullptr ? 0 : *mask;
}

void NodeRoutes::set_mask(const Key& key, LoopMask mask) {
  if (mask_of(key) == mask) return;
  interest_changed_ = true;
  if (mask == 0) {
    interest_.erase(key.first, key.second);
  } else {
    interest_.change(key.first, key.second) = mask;
  }
}

void NodeRoutes::enqueue(Transitions::iterator at, Phase phase) {
  at->second.phase = phase;
  to_propose_.push_back(at->first);
}

void NodeRoutes::finish(Transitions::iterator at) {
  if (mask_of(at->first) == 0) --filters_;
  transitions_.erase(at);
}

void NodeRoutes::answer_all(Transition& transition, SubscribeOutcome outcome) {
  for (const Waiter& waiter : transition.waiters) {
    answers_.push_back({waiter.loop, waiter.token, outcome});
  }
  transition.waiters.clear();
}

void NodeRoutes::subscribe(std::string_view tenant, std::string_view filter, std::uint32_t loop,
                           std::uint64_t token) {
  SKALD_ASSERT(loop < kMaxLoops);
  Key key(tenant, filter);
  const LoopMask before = mask_of(key);
  const LoopMask mask = before | LoopMask{1} << loop;
  auto at = transitions_.find(key);
  if (at == transitions_.end()) {
    if (before != 0) {  // present
      set_mask(key, mask);
      answers_.push_back({loop, token, SubscribeOutcome::done});
      return;
    }
    if (filters_ == limits_.max_filters) {
      answers_.push_back({loop, token, SubscribeOutcome::full});
      return;
    }
    ++filters_;
    at = transitions_.emplace(key, Transition{}).first;
    enqueue(at, Phase::adding);
  } else if (at->second.phase == Phase::stuck) {
    // An add says the same whether the route is still there or not.
    to_retry_.erase(key);
    enqueue(at, Phase::adding);
  }
  set_mask(key, mask);
  at->second.waiters.push_back({loop, token});
}

void NodeRoutes::unsubscribe(std::string_view tenant, std::string_view filter, std::uint32_t loop) {
  SKALD_ASSERT(loop < kMaxLoops);
  const Key key(tenant, filter);
  const LoopMask before = mask_of(key);
  const LoopMask mask = before & ~(LoopMask{1} << loop);
  if (mask == before) return;
  set_mask(key, mask);
  const auto at = transitions_.find(key);
  if (at == transitions_.end()) {
    if (mask != 0) return;
    Transition transition;
    transition.may_exist = true;
    enqueue(transitions_.emplace(key, std::move(transition)).first, Phase::removing);
    return;
  }
  std::vector<Waiter>& waiters = at->second.waiters;
  for (const Waiter& waiter : waiters) {
    if (waiter.loop != loop) continue;
    answers_.push_back({loop, waiter.token, SubscribeOutcome::cancelled});
  }
  std::erase_if(waiters, [loop](const Waiter& waiter) { return waiter.loop == loop; });
}

void NodeRoutes::on_reply(std::uint64_t batch, std::span<const Outcome> outcomes) {
  const auto in_flight = in_flight_.find(batch);
  SKALD_ASSERT(in_flight != in_flight_.end());
  const std::vector<Key> keys = std::move(in_flight->second);
  SKALD_ASSERT(keys.size() == outcomes.size());
  in_flight_.erase(in_flight);
  for (std::size_t i = 0; i < keys.size(); ++i) {
    const auto at = transitions_.find(keys[i]);
    SKALD_ASSERT(at != transitions_.end());
    if (at->second.phase == Phase::adding) {
      on_added(at, outcomes[i]);
    } else {
      on_removed(at, outcomes[i]);
    }
  }
}

void NodeRoutes::on_added(Transitions::iterator at, Outcome outcome) {
  Transition& transition = at->second;
  if (outcome == Outcome::visible) {
    transition.may_exist = true;
    answer_all(transition, SubscribeOutcome::done);
    if (mask_of(at->first) != 0) {
      finish(at);
    } else {
      enqueue(at, Phase::removing);
    }
    return;
  }
  // Every bit of a filter that is not present belongs to a waiter.
  answer_all(transition, SubscribeOutcome::failed);
  set_mask(at->first, 0);
  transition.may_exist |= outcome == Outcome::unknown;
  if (transition.may_exist) {
    enqueue(at, Phase::removing);
  } else {
    finish(at);
  }
}

void NodeRoutes::on_removed(Transitions::iterator at, Outcome outcome) {
  Transition& transition = at->second;
  SKALD_ASSERT(transition.phase == Phase::removing);
  if (outcome == Outcome::visible) transition.may_exist = false;
  if (mask_of(at->first) != 0) {
    enqueue(at, Phase::adding);
  } else if (transition.may_exist) {
    transition.phase = Phase::stuck;
    to_retry_.insert(at->first);
  } else {
    finish(at);
  }
}

void NodeRoutes::retry() {
  for (const Key& key : to_retry_) {
    const auto at = transitions_.find(key);
    SKALD_ASSERT(at != transitions_.end());
    enqueue(at, Phase::removing);
  }
  to_retry_.clear();
}

bool NodeRoutes::has_ready() const {
  return interest_changed_ || !answers_.empty() ||
         (!to_propose_.empty() && in_flight_.size() < limits_.max_batches_in_flight);
}

NodeRoutes::Ready NodeRoutes::take_ready() {
  Ready ready;
  if (interest_changed_) ready.interest = interest();
  interest_changed_ = false;
  while (!to_propose_.empty() && in_flight_.size() < limits_.max_batches_in_flight) {
    Batch batch = next_batch();
    if (!batch.command.changes.empty()) ready.proposals.push_back(std::move(batch));
  }
  ready.answers = std::exchange(answers_, {});
  return ready;
}

NodeRoutes::Batch NodeRoutes::next_batch() {
  Batch batch;
  std::vector<Key> keys;
  while (!to_propose_.empty() && keys.size() < limits_.max_changes_per_batch) {
    Key key = std::move(to_propose_.front());
    to_propose_.pop_front();
    const auto at = transitions_.find(key);
    SKALD_ASSERT(at != transitions_.end());
    Transition& transition = at->second;
    if (transition.phase == Phase::adding && mask_of(key) == 0) {  // wanted no more
      if (!transition.may_exist) {
        finish(at);
        continue;
      }
      transition.phase = Phase::removing;
    }
    const bool adding = transition.phase == Phase::adding;
    batch.command.changes.push_back(
        {adding ? dist::RouteChange::Kind::add : dist::RouteChange::Kind::remove,
         {key.first, key.second, dist::NodeReceiver{self_}}});
    keys.push_back(std::move(key));
  }
  if (keys.empty()) return batch;
  batch.id = ++last_batch_;
  in_flight_.emplace(batch.id, std::move(keys));
  return batch;
}

void NodeRoutes::check_invariants() const {
  std::map<Key, int> outstanding;
  for (const Key& key : to_propose_) ++outstanding[key];
  for (const auto& [id, keys] : in_flight_) {
    for (const Key& key : keys) ++outstanding[key];
  }
  std::size_t filters = transitions_.size();
  interest_.for_each_tenant([&](std::string_view tenant, const auto& trie) {
    trie.for_each([&](const std::string& filter, LoopMask mask) {
      SKALD_ASSERT(mask != 0);
      filters += transitions_.contains(Key(tenant, filter)) ? 0 : 1;
    });
  });
  SKALD_ASSERT(filters == filters_);
  SKALD_ASSERT(in_flight_.size() <= limits_.max_batches_in_flight);
  for (const auto& [key, transition] : transitions_) {
    const bool stuck = transition.phase == Phase::stuck;
    SKALD_ASSERT(stuck == to_retry_.contains(key));
    SKALD_ASSERT(outstanding[key] == (stuck ? 0 : 1));
    SKALD_ASSERT(transition.phase == Phase::adding || transition.may_exist);
    LoopMask waiting = 0;
    for (const Waiter& waiter : transition.waiters) waiting |= LoopMask{1} << waiter.loop;
    SKALD_ASSERT(waiting == mask_of(key));
  }
  SKALD_ASSERT(outstanding.size() <= transitions_.size());
}

}  // namespace skald::dispatch
