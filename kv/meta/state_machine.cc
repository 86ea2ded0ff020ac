#include "kv/meta/state_machine.h"

#include "config/base/coding.h"
#include "kv/range/guards.h"

namespace skald::meta {
namespace {

using range::EffectScope;
using range::Guard;

constexpr std::uint8_t kVersion = 1;

std::string life_key(char tag, Life life) {
  std::string key(1, tag);
  put_be64(key, life.node.value);
  put_be64(key, life.number.value);
  return key;
}

std::string setting_key(std::string_view key) { return "s" + std::string(key); }

void put(range::Applied<Reply, Effect>& out, std::string key, std::string value) {
  out.writes.push_back({range::Write::Kind::put, std::move(key), std::move(value)});
}

void erase(range::Applied<Reply, Effect>& out, std::string key) {
  out.writes.push_back({range::Write::Kind::erase, std::move(key), {}});
}

}  // namespace

StateMachine::Applied StateMachine::apply(const range::ApplyContext& context,
                                          const Command& command) {
  Applied out;
  std::visit([this, &context, &out](const auto& one) { on(context, one, out); }, command);
  return out;
}

void StateMachine::see(Life life, std::uint64_t index, Applied& out) {
  Record& record = lives_[life];
  record.seen = index;
  std::string value;
  put_u8(value, kVersion);
  put_varint(value, record.seen);
  put_varint(value, record.nonce);
  put(out, life_key('l', life), std::move(value));
  out.effects.emplace_back(EffectScope::leader_only, LifeSeen{life, index});
}

void StateMachine::end(Life life, Applied& out) {
  lives_.erase(life);
  intents_.insert(life);
  erase(out, life_key('l', life));
  put(out, life_key('i', life), std::string(1, static_cast<char>(kVersion)));
  out.effects.emplace_back(EffectScope::outbox, EndIntent{life});
}

void StateMachine::on(const range::ApplyContext& context, const GrantLife& grant, Applied& out) {
  if (!grant.node || grant.nonce == 0) {
    out.reply.outcome = Outcome::kInvalid;
    return;
  }
  std::vector<Life> before;
  bool overtaken = false;
  for (auto at = lives_.lower_bound({grant.node, LifeNumber{0}});
       at != lives_.end() && at->first.node == grant.node; ++at) {
    if (at->second.nonce == grant.nonce) {
      out.reply.life = at->first;
      see(at->first, context.index, out);
      return;
    }
    if (at->second.nonce < grant.nonce) before.push_back(at->first);
    overtaken = overtaken || at->second.nonce > grant.nonce;
  }
  if (grant.succeeds && overtaken) {  // of a process before: it came late
    out.reply.outcome = Outcome::kEnded;
    return;
  }
  if (!grant.succeeds && (overtaken || !before.empty())) {
    out.reply.outcome = Outcome::kWait;
    return;
  }
  if (grant.succeeds) {
    for (const Life life : before) end(life, out);
  }
  if (lives_.size() >= kLivesMax) {
    out.reply.outcome = Outcome::kFull;
    return;
  }
  const Life life{grant.node, LifeNumber{context.stamp_us}};
  lives_[life].nonce = grant.nonce;
  see(life, context.index, out);
  out.reply.life = life;
}

void StateMachine::on(const range::ApplyContext& context, const RenewLife& renew, Applied& out) {
  out.reply.life = renew.life;
  if (!is_alive(renew.life)) {
    out.reply.outcome = Outcome::kEnded;
  } else {
    see(renew.life, context.index, out);
  }
}

void StateMachine::on(const range::ApplyContext&, const meta::EndLife& ends, Applied& out) {
  out.reply.life = ends.life;
  const auto found = lives_.find(ends.life);
  if (found == lives_.end()) {
    out.reply.outcome = Outcome::kEnded;
  } else if (found->second.seen > ends.seen && SKALD_GUARD(Guard::kRenewalOvertakes)) {
    out.reply.outcome = Outcome::kRenewed;
  } else {
    end(ends.life, out);
  }
}

void StateMachine::on(const range::ApplyContext&, const IntentDone& done, Applied& out) {
  out.reply.life = done.life;
  if (intents_.erase(done.life) > 0) erase(out, life_key('i', done.life));
}

void StateMachine::on(const range::ApplyContext& context, const SetSetting& set, Applied& out) {
  const auto found = settings_.find(set.key);
  const std::uint64_t version = found == settings_.end() ? 0 : found->second.version;
  out.reply.version = version;
  if (set.key.empty() || set.key.size() > kSettingKeyBytesMax ||
      (set.value && set.value->size() > kSettingValueBytesMax)) {
    out.reply.outcome = Outcome::kInvalid;
  } else if (set.expected && *set.expected != version) {
    out.reply.outcome = Outcome::kConflict;
  } else if (set.value && version == 0 && settings_.size() >= kSettingsMax) {
    out.reply.outcome = Outcome::kFull;
  } else if (set.value) {
    settings_[set.key] = {*set.value, context.stamp_us};
    out.reply.version = context.stamp_us;
    std::string value;
    put_u8(value, kVersion);
    put_varint(value, context.stamp_us);
    value += *set.value;
    put(out, setting_key(set.key), std::move(value));
    out.effects.emplace_back(EffectScope::every_replica, SettingChanged{set.key});
  } else if (version != 0) {
    settings_.erase(set.key);
    out.reply.version = 0;
    erase(out, setting_key(set.key));
    out.effects.emplace_back(EffectScope::every_replica, SettingChanged{set.key});
  }
}

StateMachine::Effects StateMachine::leader_started(std::uint64_t, std::uint64_t) {
  Effects effects;
  for (const auto& [life, record] : lives_) {
    effects.emplace_back(EffectScope::leader_only, LifeSeen{life, record.seen});
  }
  for (const Life life : intents_) effects.emplace_back(EffectScope::outbox, EndIntent{life});
  return effects;
}

void StateMachine::rebuild_start() {
  lives_.clear();
  intents_.clear();
  settings_.clear();
}

Status StateMachine::rebuild_chunk(std::span<const range::Record> records) {
  for (const range::Record& stored : records) {
    Reader key(stored.key);
    Reader value(stored.value);
    const std::uint8_t tag = key.u8();
    value.version(kVersion);
    if (tag == 's') {
      Setting setting;
      setting.version = value.varint();
      setting.value = value.rest();
      if (!value.ok()) return Error{"meta setting: cannot be read"};
      settings_[std::string(key.rest())] = std::move(setting);
      continue;
    }
    Life life;
    life.node.value = key.be64();
    life.number.value = key.be64();
    if (tag == 'l') {
      Record& record = lives_[life];
      record.seen = value.varint();
      record.nonce = value.varint();
    } else if (tag == 'i') {
      intents_.insert(life);
    } else {
      key.fail();
    }
    if (!key.done() || !value.done()) return Error{"meta life: cannot be read"};
  }
  return {};
}

std::vector<Life> StateMachine::lives() const {
  std::vector<Life> all;
  for (const auto& [life, record] : lives_) all.push_back(life);
  return all;
}

}  // namespace skald::meta
