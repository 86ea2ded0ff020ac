#include "mqtt/dispatch/dispatch.h"

#include <algorithm>
#include <tuple>

#include "config/base/assert.h"

namespace skald::dispatch {

using codec::QoS;
using session::Session;

namespace {

/// A session that ended during the flush holds nobody up.
bool still_behind(const Session& session) {
  return session.state() == Session::State::connected && session.behind();
}

}  // namespace

Dispatch::Dispatch(const Options& options, session::Workspace& workspace)
    : options_(options),
      workspace_(workspace),
      local_(options.seed),
      cache_(options.match_cache_entries, options.match_cache_bytes),
      back_pressure_(options.back_pressure),
      chooser_(options.seed),
      batches_(options.loops) {
  SKALD_ASSERT(options.loops >= 1 && options.loops <= kMaxLoops);
}

void Dispatch::set_routes(std::shared_ptr<const dist::RouteSnapshot> routes) {
  routes_ = std::move(routes);
  forget_last();
}

void Dispatch::set_interest(std::shared_ptr<const InterestSnapshot> interest) {
  interest_ = std::move(interest);
  forget_last();
}

void Dispatch::limit_fan_out(FanOutLimits* limits) {
  fan_out_ = limits;
  cache_.clear();  // what is there was cut to the limits before
  forget_last();
}

void Dispatch::add(Session& session, std::uint64_t number) {
  session.number = number != 0 ? number : session.publisher().session;
  SKALD_ASSERT(sessions_.emplace(session.number, &session).second);
}

void Dispatch::remove(Session& session) {
  Session* const no_session = nullptr;
  back_pressure_.forget(session);
  sessions_.erase(session.number);
  // Not erased: somebody may be walking the list.
  if (session.dirty) std::replace(dirty_.begin(), dirty_.end(), &session, no_session);
  if (session.pressed) std::replace(pressed_.begin(), pressed_.end(), &session, no_session);
  session.dirty = false;
  session.pressed = false;
}

Session* Dispatch::find(std::uint64_t number) const {
  const auto found = sessions_.find(number);
  return found == sessions_.end() ? nullptr : found->second;
}

bool Dispatch::subscribe(Session& session, std::string_view filter,
                         const Session::Subscription& subscription, bool replace) {
  forget_last();
  return local_.add(session.tenant(), filter,
                    {.session = &session, .options = subscription.options, .id = subscription.id},
                    replace);
}

bool Dispatch::unsubscribe(Session& session, std::string_view filter) {
  forget_last();
  return local_.remove(session.tenant(), filter, &session);
}

void Dispatch::turn_to(std::string_view tenant) {
  last_entry_ = nullptr;
  last_tenant_ = {.tenant = std::string(tenant),
                  .topics = &cache_.tenant(tenant),
                  .versions = {.routes = routes_ ? routes_->version(tenant) : 0,
                               .interest = interest_ ? interest_->version(tenant) : 0,
                               .local = local_.version(tenant)},
                  .fan_out = fan_out_ != nullptr ? fan_out_->fan_out_of(tenant) : FanOut{}};
}

MatchEntry& Dispatch::match(std::string_view tenant, std::string_view topic) {
  if (last_tenant_.topics == nullptr || tenant != last_tenant_.tenant) turn_to(tenant);
  if (last_entry_ != nullptr && topic == last_topic_) return *last_entry_;
  MatchEntry* entry = cache_.at(*last_tenant_.topics, topic);
  if (entry == nullptr) {
    turn_to(tenant);
    entry = cache_.at(*last_tenant_.topics, topic);
  }
  if (!entry->filled || entry->versions != last_tenant_.versions) {
    if (cache_.full()) {
      cache_.clear();
      turn_to(tenant);
      entry = cache_.at(*last_tenant_.topics, topic);
    }
    entry->versions = last_tenant_.versions;
    fill(*entry, tenant, topic);
    cache_.weigh(*entry);
  }
  last_topic_.assign(topic);
  last_entry_ = entry;
  return *entry;
}

void Dispatch::fill(MatchEntry& entry, std::string_view tenant, std::string_view topic) {
  ++counters_.matches_made;
  entry.filled = true;
  merge_local(entry, tenant, topic, nullptr);
  const LoopMask self = LoopMask{1} << options_.loop;
  entry.other_loops = interest_ ? interest_->match(tenant, topic) & ~self : 0;
  entry.groups.clear();
  entry.groups_left_out = 0;
  entry.routes.clear();
  if (!routes_) return;
  routes_->match(tenant, topic, entry.routes);
  for (const dist::Matches::SharedGroup& group : entry.routes.groups) {
    entry.groups.push_back({.key = std::make_shared<const session::GroupKey>(
                                session::GroupKey{std::string(group.name), group.group->filter}),
                            .group = group.group});
  }
  limit_groups(entry);
}

/// The same groups for every publication, on every loop: the first by name.
void Dispatch::limit_groups(MatchEntry& entry) const {
  const std::size_t most = last_tenant_.fan_out.max_groups;
  if (most == 0 || entry.groups.size() <= most) return;
  std::sort(entry.groups.begin(), entry.groups.end(),
            [](const SharedTarget& a, const SharedTarget& b) {
              return std::tie(a.key->group, a.key->filter) < std::tie(b.key->group, b.key->filter);
            });
  entry.groups_left_out = static_cast<std::uint32_t>(entry.groups.size() - most);
  entry.groups.resize(most);
}

/// Overlapping subscriptions of a session become one receiver. `without_no_local_of`: its No Local
/// subscriptions are left out, as for a message of its own [MQTT-3.8.3-3].
void Dispatch::merge_local(MatchEntry& entry, std::string_view tenant, std::string_view topic,
                           const Session* without_no_local_of) {
  std::vector<LocalSubscription> found;
  local_.match(tenant, topic, [&](const LocalSubscribers& subscribers) {
    for (const LocalSubscription& subscription : subscribers) {
      const bool left_out =
          subscription.session == without_no_local_of && subscription.options.no_local;
      if (!left_out) found.push_back(subscription);
    }
  });
  // By session, and within one by identifier: the order of a match is of no use.
  std::sort(found.begin(), found.end(), [](const LocalSubscription& a, const LocalSubscription& b) {
    const std::uint64_t first = a.session->number;
    const std::uint64_t second = b.session->number;
    return first != second ? first < second : a.id < b.id;
  });
  entry.receivers.clear();
  entry.ids.clear();
  for (const LocalSubscription& subscription : found) {
    if (entry.receivers.empty() || entry.receivers.back().session != subscription.session) {
      entry.receivers.push_back({.session = subscription.session,
                                 .first_id = static_cast<std::uint32_t>(entry.ids.size())});
    }
    LocalReceiver& receiver = entry.receivers.back();
    receiver.qos = std::max(receiver.qos, subscription.options.qos);
    receiver.retain_as_published |= subscription.options.retain_as_published;
    receiver.no_local |= subscription.options.no_local;
    if (subscription.id != 0) {
      entry.ids.push_back(subscription.id);
      ++receiver.ids;
    }
  }
}

PublishResult Dispatch::publish(mqtt::PublicationView& publication, Session* publisher,
                                mqtt::TimeMs now_ms) {
  ++counters_.publications;
  MatchEntry& entry = match(publication.tenant, publication.topic);
  const bool inboxes_or_groups = entry.routes.inboxes != nullptr || !entry.groups.empty();
  if (entry.receivers.empty() && entry.other_loops == 0 && !inboxes_or_groups) {
    ++counters_.no_subscribers;
    return {};
  }
  forms_.reset(publication, now_ms);
  deliver_local(entry, publication, publisher);
  for (LoopMask left = entry.other_loops; left != 0; left &= left - 1) {
    batch(static_cast<std::uint16_t>(std::countr_zero(left)),
          {.publication = publication.share(), .group = {}});
  }
  if (!inboxes_or_groups) return {.matched = true};
  begin_inboxes();
  if (entry.routes.inboxes) deliver_to_inboxes(entry.routes.inboxes, publication);
  for (const SharedTarget& target : entry.groups) {
    if (!deliver_shared(target, publication, 0, {})) ++counters_.shared_undeliverable;
  }
  if (entry.groups_left_out != 0) [[unlikely]] {
    fan_out_->left_out(publication.tenant, entry.groups_left_out);
  }
  return {.matched = true, .pending = inserts_.size() != inserts_before_};
}

void Dispatch::deliver_local(const MatchEntry& entry, mqtt::PublicationView& publication,
                             const Session* publisher) {
  const std::size_t receivers = entry.receivers.size();
  if (last_tenant_.fan_out.rated && receivers != 0) [[unlikely]] {
    if (!fan_out_->may_hand_out(publication, receivers)) return;
  }
  for (const LocalReceiver& receiver : entry.receivers) {
    if (receiver.no_local && receiver.session == publisher) {
      deliver_to_no_local(publication, *receiver.session);
      continue;
    }
    if (watches_live_ && publication.info.retain) {
      live_.remember(*receiver.session, *publication.share(), forms_.now_ms());
    }
    deliver_to(*receiver.session,
               {.granted = receiver.qos,
                .retain = receiver.retain_as_published && publication.info.retain,
                .subscription_ids = {entry.ids.data() + receiver.first_id, receiver.ids}});
  }
}

/// The publisher's own subscriptions that are not No Local; rare enough to match anew.
void Dispatch::deliver_to_no_local(mqtt::PublicationView& publication, Session& publisher) {
  MatchEntry own;
  merge_local(own, publication.tenant, publication.topic, &publisher);
  for (const LocalReceiver& receiver : own.receivers) {
    if (receiver.session != &publisher) continue;
    deliver_to(publisher, {.granted = receiver.qos,
                           .retain = receiver.retain_as_published && publication.info.retain,
                           .subscription_ids = {own.ids.data() + receiver.first_id, receiver.ids}});
  }
}

bool Dispatch::deliver_to(Session& session, const session::Delivery& delivery) {
  const Session::Outcome outcome = session.deliver(forms_, delivery);
  mark_dirty(session);
  if (!session.pressed &&
      (session.output().size() > options_.flush_from_bytes || session.behind())) {
    session.pressed = true;
    pressed_.push_back(&session);
  }
  return outcome != Session::Outcome::dropped;
}

std::vector<Session*> Dispatch::take_pressed() {
  std::erase(pressed_, nullptr);
  for (Session* session : pressed_) session->pressed = false;
  return std::exchange(pressed_, {});
}

void Dispatch::settle(Session& publisher, const std::vector<Session*>& pressed,
                      mqtt::TimeMs now_ms) {
  for (Session* session : pressed) {
    if (still_behind(*session)) back_pressure_.wait(publisher, *session, now_ms);
  }
}

void Dispatch::return_credit(const Credit& credit, const std::vector<Session*>& pressed,
                             mqtt::TimeMs now_ms) {
  std::vector<Session*> behind;
  for (Session* session : pressed) {
    if (still_behind(*session)) behind.push_back(session);
  }
  back_pressure_.wait(credit, behind, now_ms);
}

void Dispatch::batch(std::uint16_t loop, LoopItem item) {
  SKALD_ASSERT(loop < options_.loops && loop != options_.loop);
  ++counters_.to_other_loops;
  LoopBatch& to = batches_[loop];
  to.credit.bytes += item.publication->size_bytes();
  to.items.push_back(std::move(item));
  batched_ |= LoopMask{1} << loop;
}

std::vector<std::pair<std::uint16_t, LoopBatch>> Dispatch::take_batches(Session* publisher) {
  std::vector<std::pair<std::uint16_t, LoopBatch>> taken;
  for (LoopMask left = std::exchange(batched_, 0); left != 0; left &= left - 1) {
    const auto loop = static_cast<std::uint16_t>(std::countr_zero(left));
    LoopBatch batch = std::exchange(batches_[loop], {});
    batch.credit.loop = options_.loop;
    if (publisher != nullptr && publisher->state() == Session::State::connected) {
      batch.credit.publisher = publisher->number;
      back_pressure_.lend(*publisher, batch.credit.bytes);
    }
    taken.emplace_back(loop, std::move(batch));
  }
  return taken;
}

void Dispatch::receive(const LoopBatch& batch, mqtt::TimeMs now_ms) {
  for (const LoopItem& item : batch.items) {
    mqtt::PublicationView publication = mqtt::PublicationView::of(item.publication);
    forms_.reset(publication, now_ms);
    if (item.member == 0) {
      deliver_local(match(publication.tenant, publication.topic), publication, nullptr);
      continue;
    }
    Session* member = find(item.member);
    const bool delivered = member != nullptr &&
                           hand_to_member(*member, item.group, item.member_qos, item.redispatches);
    // Gone or full since it was chosen: another member gets it.
    if (!delivered) {
      redispatch({item.publication, item.group, item.redispatches + 1},
                 {.session = item.member, .inbox = {}}, now_ms);
    }
  }
}

}  // namespace skald::dispatch
