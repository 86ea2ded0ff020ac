#include "kv/meta/life_watch.h"

#include "kv/range/guards.h"

namespace skald::meta {
namespace {

constexpr std::uint64_t kRepeatUs = 500'000;

}  // namespace

void LifeWatch::on_seen(const LifeSeen& seen, std::uint64_t now_us) {
  const bool late = SKALD_GUARD(range::Guard::kEndLifeLate);
  const std::uint64_t wait = late ? ttl_us_ + ttl_us_ / 100 + 1 : ttl_us_ - ttl_us_ / 10;
  Watched& watched = lives_[seen.life];
  // With an older index every EndLife would be answered kRenewed, for ever.
  if (watched.seen > seen.index) return;
  watched = {seen.index, now_us + wait};
}

std::vector<EndLife> LifeWatch::tick(std::uint64_t now_us) {
  std::vector<EndLife> due;
  for (auto& [life, watched] : lives_) {
    if (now_us < watched.due_us) continue;
    due.push_back({life, watched.seen});
    watched.due_us = now_us + kRepeatUs;
  }
  return due;
}

}  // namespace skald::meta
