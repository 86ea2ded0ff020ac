#include "tests/inbox/model.h"

#include <algorithm>

namespace skald::inbox {
namespace {

std::string text(const Owner& owner) {
  return std::to_string(owner.life.node.value) + "/" + std::to_string(owner.life.number.value) +
         "/" + std::to_string(owner.session);
}

std::string deliver_line(const Owner& owner, Incarnation incarnation, Seq seq,
                         const mqtt::Publication& publication) {
  return "deliver " + text(owner) + " " + std::to_string(incarnation) + " " + std::to_string(seq) +
         " " + std::string(publication.payload());
}

std::string evict_line(const Owner& owner, const Owner& to) {
  return "evict " + text(owner) + " for " + text(to);
}

std::string routes_line(const Name& name, const std::vector<RemoveRoutes::Route>& routes) {
  std::string line = "routes " + name.tenant + " " + name.client_id;
  for (const auto& route : routes) line += " " + route.filter + std::to_string(route.incarnation);
  return line;
}

std::string will_line(const Name& name, std::string_view user, std::string_view payload,
                      std::uint64_t stamp_ms, std::uint64_t expiry_ms) {
  return "will " + name.tenant + " " + name.client_id + " " + std::string(user) + " " +
         std::string(payload) + " " + std::to_string(stamp_ms) + " " + std::to_string(expiry_ms);
}

}  // namespace

Model::Told lines_of(const StateMachine::Applied& applied) {
  Model::Told told;
  told.results = applied.reply.results;
  for (const auto& [scope, effect] : applied.effects) {
    const bool is_hint = scope == range::EffectScope::leader_only;
    if (const auto* deliver = std::get_if<Deliver>(&effect)) {
      BOOST_REQUIRE(is_hint);
      told.hints.push_back(
          deliver_line(deliver->owner, deliver->incarnation, deliver->seq, *deliver->publication));
    } else if (const auto* evict = std::get_if<Evict>(&effect)) {
      BOOST_REQUIRE(is_hint);
      told.hints.push_back(evict_line(evict->owner, evict->to));
    } else if (const auto* will = std::get_if<PublishWill>(&effect)) {
      BOOST_REQUIRE(!is_hint);
      const auto& info = will->publication->info();
      told.intents.push_back(will_line(will->name, will->user, will->publication->payload(),
                                       info.stamp_ms, info.expiry_ms));
    } else {
      BOOST_REQUIRE(!is_hint);
      const auto& remove = std::get<RemoveRoutes>(effect);
      told.intents.push_back(routes_line(remove.name, remove.routes));
    }
  }
  std::sort(told.intents.begin(), told.intents.end());
  return told;
}

Model::Told Model::apply(std::uint64_t stamp_us, const Command& command, const Reply& said) {
  now_us_ = stamp_us;
  command_ = &command;
  reply_ = &said;
  operation_ = 0;
  told_ = {};
  for (const Operation& operation : command.operations) {
    std::visit([this](const auto& one) { run(one); }, operation);
    ++operation_;
  }
  std::sort(told_.intents.begin(), told_.intents.end());
  return told_;
}

void Model::list(Result result, std::uint32_t target) {
  told_.results.push_back(
      {.operation = operation_, .target = target, .result = result, .previous = {}});
}

/// What the machine said of this operation: it gives the numbers.
OperationResult Model::said() const {
  for (const OperationResult& one : reply_->results) {
    if (one.operation == operation_) return one;
  }
  return {.previous = {}};
}

Model::One* Model::owned(const Name& name, Incarnation incarnation) {
  const auto found = sessions_.find(name);
  if (found == sessions_.end() || found->second.incarnation != incarnation) {
    list(Result::fenced);
    return nullptr;
  }
  if (!found->second.persistent) {
    list(Result::invalid);
    return nullptr;
  }
  return &found->second;
}

Model::One* Model::since(const Name& name, Incarnation incarnation) {
  const auto found = sessions_.find(name);
  if (found == sessions_.end() || incarnation < found->second.birth ||
      incarnation > found->second.incarnation) {
    list(Result::fenced);
    return nullptr;
  }
  return owned(name, found->second.incarnation);
}

void Model::fire(const Name& name, One& one) {
  const mqtt::PublicationInfo& info = one.will->publication->info();
  const std::uint64_t stamp_ms = now_us_ / 1000;
  told_.intents.push_back(will_line(name, one.user, one.will->publication->payload(), stamp_ms,
                                    info.expiry_ms == 0 ? 0 : stamp_ms + info.expiry_ms));
  ++outbox;
  one.will.reset();
}

void Model::end(const Name& name, One& one) {
  if (one.subscriptions.empty()) return;
  std::vector<RemoveRoutes::Route> routes;
  for (const auto& [filter, subscription] : one.subscriptions) {
    routes.push_back({filter, subscription.incarnation});
  }
  told_.intents.push_back(routes_line(name, routes));
  ++outbox;
}

void Model::leave_ended_life(const Name& name) {
  const auto at = sessions_.find(name);
  if (at == sessions_.end() || !at->second.owner) return;
  const auto ended = ended_.find(at->second.owner->life);
  if (ended != ended_.end()) leave(name, Detach::Why::broken, ended->second, {});
}

void Model::run(const Attach& attach) {
  const Name& name = attach.name;
  leave_ended_life(name);
  bool present = false;
  std::optional<Owner> previous;
  if (const auto at = sessions_.find(name); at != sessions_.end()) {
    One& one = at->second;
    const bool mine = one.user == attach.user;
    if (!mine && (one.owner || one.persistent) && !attach.take_from_others) {
      return list(Result::foreign);
    }
    present = mine && one.persistent && !attach.clean_start;
    if (one.owner && *one.owner != attach.owner) previous = one.owner;
    if (one.will) {
      bool fires = true;
      if (one.owner && present) fires = one.will->delay_s == 0;
      if (!one.owner) fires = !present && !(one.drained && mine);
      if (fires) fire(name, one);
    }
    if (one.owner) one.sent_up_to = one.last;
    if (!present) {
      end(name, one);
      sessions_.erase(at);
    }
  }
  const OperationResult numbers = said();
  One& one = sessions_[name];
  BOOST_REQUIRE(numbers.incarnation > one.incarnation);
  BOOST_REQUIRE_EQUAL(numbers.incarnation >> kIncarnationBits, now_us_);
  one.incarnation = numbers.incarnation;
  if (!present) {
    one.birth = one.incarnation;
    one.persistent = attach.expiry_s > 0;
    one.user = attach.user;
  }
  one.owner = attach.owner;
  one.expiry_s = attach.expiry_s;
  one.will = attach.will;
  one.quota = attach.quota;
  one.drained = false;
  one.end_us.reset();
  if (previous) told_.hints.push_back(evict_line(*previous, attach.owner));
  told_.results.push_back({.operation = operation_,
                           .session_present = present,
                           .incarnation = one.incarnation,
                           .birth = one.birth,
                           .previous = previous});
}

void Model::run(const Detach& detach) {
  const auto found = sessions_.find(detach.name);
  if (found == sessions_.end() || found->second.incarnation != detach.incarnation ||
      !found->second.owner) {
    return list(Result::fenced);
  }
  if (detach.expiry_s) found->second.expiry_s = *detach.expiry_s;
  leave(detach.name, detach.why, now_us_, detach.sent_up_to);
}

void Model::leave(const Name& name, Detach::Why why, std::uint64_t stamp_us,
                  std::optional<Seq> sent) {
  One& one = sessions_.at(name);
  one.owner.reset();
  one.drained = why == Detach::Why::drain;
  if (!one.persistent) one.expiry_s = 0;
  one.sent_up_to = std::min(one.last, std::max(one.sent_up_to, sent.value_or(one.last)));
  if (why == Detach::Why::clean) one.will.reset();
  one.end_us.reset();
  if (one.expiry_s != kNeverExpires) one.end_us = stamp_us + one.expiry_s * kSecond;
  if (one.will) {
    one.will_us = stamp_us + one.will->delay_s * kSecond;
    if (one.end_us) one.will_us = std::min(one.will_us, *one.end_us);
    if (one.drained) one.will_us = std::max(one.will_us, stamp_us + 30 * kSecond);
  }
  fall_due(name);
}

void Model::fall_due(const Name& name) {
  One& one = sessions_.at(name);
  if (one.owner) return;
  if (one.will && one.will_us <= now_us_) fire(name, one);
  if (!one.end_us || *one.end_us > now_us_) return;
  if (one.persistent) end(name, one);
  if (one.will) {
    One holder;
    holder.user = one.user;
    holder.incarnation = one.incarnation;
    holder.birth = one.birth;
    holder.will = one.will;
    holder.will_us = one.will_us;
    holder.end_us = 0;
    holder.drained = one.drained;
    one = holder;
  } else {
    sessions_.erase(name);
  }
}

void Model::run(const Tick&) {
  std::vector<Name> names;
  for (const auto& [name, one] : sessions_) names.push_back(name);
  for (const Name& name : names) {
    const auto& owner = sessions_.at(name).owner;
    if (owner && ended_.contains(owner->life)) {
      leave(name, Detach::Why::broken, ended_.at(owner->life), {});
    }
  }
  for (const Name& name : names) {
    if (sessions_.contains(name)) fall_due(name);
  }
}

void Model::run(const EndLife& end) {
  for (const auto& [name, one] : sessions_) {
    if (!one.owner || one.owner->life.node != end.life.node) continue;
    if (one.owner->life <= end.life) ended_.try_emplace(one.owner->life, now_us_);
  }
}

void Model::run(const OutboxDone& done) { outbox -= std::min(outbox, done.intents.size()); }

void Model::run(const Subscribe& subscribe) {
  One* one = owned(subscribe.name, subscribe.incarnation);
  if (one == nullptr) return;
  const bool replaced = one->subscriptions.contains(subscribe.filter);
  const bool owed = replaced && one->subscriptions.at(subscribe.filter).feed_owed;
  if (!replaced && one->subscriptions.size() >= one->quota.max_subscriptions) {
    return list(Result::full);
  }
  const Incarnation incarnation = said().incarnation;
  BOOST_REQUIRE(incarnation > one->subscriptions[subscribe.filter].incarnation);
  BOOST_REQUIRE(incarnation > one->incarnation);
  const auto handling = subscribe.options.retain_handling;
  const bool wants = handling == codec::RetainHandling::send ||
                     (handling == codec::RetainHandling::send_if_new && !replaced);
  one->subscriptions[subscribe.filter] = {subscribe.options, subscribe.id, incarnation,
                                          wants || owed};
  told_.results.push_back(
      {.operation = operation_, .replaced = replaced, .incarnation = incarnation, .previous = {}});
}

void Model::run(const Unsubscribe& unsubscribe) {
  One* one = owned(unsubscribe.name, unsubscribe.incarnation);
  if (one == nullptr) return;
  if (one->subscriptions.erase(unsubscribe.filter) == 0) list(Result::absent);
}

void Model::run(const Fed& fed) {
  One* one = owned(fed.name, fed.incarnation);
  if (one == nullptr) return;
  const auto subscription = one->subscriptions.find(fed.filter);
  if (subscription == one->subscriptions.end()) return;
  if (subscription->second.incarnation == fed.route) subscription->second.feed_owed = false;
}

void Model::run(const Accept& accept) {
  One* one = owned(accept.name, accept.incarnation);
  if (one == nullptr) return;
  one->accepted.try_emplace(accept.packet_id, Accepted{accept.packet_id, accept.sequence, false});
}

void Model::run(const HandedOut& handed_out) {
  One* one = since(handed_out.name, handed_out.incarnation);
  if (one == nullptr) return;
  const auto accepted = one->accepted.find(handed_out.packet_id);
  if (accepted == one->accepted.end()) return;
  if (accepted->second.sequence == handed_out.sequence) accepted->second.handed_out = true;
}

void Model::run(const Release& release) {
  One* one = owned(release.name, release.incarnation);
  if (one != nullptr) one->accepted.erase(release.packet_id);
}

void Model::run(const Finish& finish) {
  One* one = since(finish.name, finish.incarnation);
  if (one == nullptr) return;
  for (const Seq seq : finish.seqs) {
    std::erase_if(one->queue, [seq](const Entry& entry) { return entry.seq == seq; });
    one->received.erase(seq);
  }
}

void Model::run(const Received& received) {
  One* one = owned(received.name, received.incarnation);
  if (one == nullptr) return;
  const Seq seq = received.seq;
  if (std::erase_if(one->queue, [seq](const Entry& entry) { return entry.seq == seq; }) > 0) {
    one->received.insert(seq);
  }
}

void Model::run(const Insert& insert) {
  for (std::uint32_t i = 0; i < insert.targets.size(); ++i) {
    const Result result = insert_into(insert, insert.targets[i]);
    if (result != Result::done) list(result, i);
  }
}

Result Model::insert_into(const Insert& insert, const Insert::Target& target) {
  const mqtt::Publication& publication = *command_->publications[insert.publication];
  if (publication.tenant() != target.name.tenant) return Result::invalid;
  leave_ended_life(target.name);
  const auto found = sessions_.find(target.name);
  if (found == sessions_.end() || !found->second.persistent) return Result::no_inbox;
  One& one = found->second;
  if (target.route != 0 && target.route < one.birth) return Result::no_inbox;
  const mqtt::PublicationInfo& info = publication.info();
  const std::pair publisher(info.publisher.life.node.value, info.publisher.session);
  if (insert.once) {
    const auto seen = one.seen.find(publisher);
    if (seen != one.seen.end() &&
        (info.sequence < seen->second.first || seen->second.second.contains(info.sequence))) {
      return Result::done;
    }
  }
  if (info.expiry_ms != 0 && info.expiry_ms <= now_us_ / 1000) return Result::done;
  const std::uint64_t bytes = message_bytes(publication);
  if (!insert.retained_feed && !make_room(one, bytes)) return Result::full;
  one.queue.push_back({++one.last, std::string(publication.payload()), info.expiry_ms, bytes,
                       !insert.retained_feed});
  if (insert.once) {
    auto& [below, sequences] = one.seen[publisher];
    below = std::max(below, std::min(insert.done_below, info.sequence));
    sequences.insert(info.sequence);
  }
  if (one.owner) {
    told_.hints.push_back(deliver_line(*one.owner, one.incarnation, one.last, publication));
  }
  return Result::done;
}

bool Model::make_room(One& one, std::uint64_t bytes) {
  for (;;) {
    std::uint64_t messages = 0;
    std::uint64_t used = 0;
    std::optional<std::size_t> oldest;
    for (std::size_t i = 0; i < one.queue.size(); ++i) {
      const Entry& entry = one.queue[i];
      if (!entry.counts) continue;
      ++messages;
      used += entry.bytes;
      if (!oldest && entry.seq > one.sent_up_to) oldest = i;
    }
    if (messages < one.quota.max_messages && used + bytes <= one.quota.max_bytes) return true;
    if (one.owner || !oldest || bytes > one.quota.max_bytes) return false;
    const mqtt::TimeMs expiry_ms = one.queue[*oldest].expiry_ms;
    const bool expired = expiry_ms != 0 && expiry_ms <= now_us_ / 1000;
    if (!expired && one.quota.overflow == Overflow::drop_newest) return false;
    one.queue.erase(one.queue.begin() + static_cast<std::ptrdiff_t>(*oldest));
  }
}

}  // namespace skald::inbox
