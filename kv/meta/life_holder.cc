#include "kv/meta/life_holder.h"

#include <algorithm>

#include "kv/range/guards.h"

namespace skald::meta {

void LifeHolder::begin(std::uint64_t nonce, bool succeeds) {
  nonce_ = nonce;
  succeeds_ = succeeds;
  life_ = {};
  ended_ = false;
  until_us_ = 0;
  next_send_us_ = 0;
  sent_.clear();
}

std::optional<LifeHolder::Request> LifeHolder::tick(std::uint64_t now_us) {
  now_us_ = now_us;
  if (nonce_ == 0 || ended_ || now_us < next_send_us_) return std::nullopt;
  next_send_us_ = now_us + ttl_us_ / 6;
  std::erase_if(sent_, [this](const auto& item) { return item.second + ttl_us_ < now_us_; });
  const std::uint64_t number = next_number_++;
  sent_[number] = now_us;
  if (!life_.node) return Request{number, GrantLife{node_, nonce_, succeeds_}};
  return Request{number, RenewLife{life_}};
}

void LifeHolder::on_reply(std::uint64_t number, const Reply& reply) {
  const auto found = sent_.find(number);
  if (found == sent_.end()) return;
  const std::uint64_t from = SKALD_GUARD(range::Guard::kHolderCountsSent) ? found->second : now_us_;
  sent_.erase(found);
  if (reply.outcome == Outcome::kEnded && reply.life == life_) ended_ = true;
  if (reply.outcome != Outcome::kOk) return;
  if (!life_.node) life_ = reply.life;
  if (reply.life == life_) until_us_ = std::max(until_us_, from + ttl_us_ - ttl_us_ / 100);
}

LifeHolder::State LifeHolder::state(std::uint64_t now_us) const {
  if (ended_) return State::kEnded;
  if (!life_.node) return State::kAsking;
  return now_us < until_us_ ? State::kAlive : State::kLapsed;
}

}  // namespace skald::meta
