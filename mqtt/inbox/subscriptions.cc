// Subscriptions of persistent sessions, and the QoS 2 publishes that their clients have not
// released.
#include <utility>

#include "mqtt/inbox/state_machine.h"

namespace skald::inbox {

namespace {

/// Whether a subscription is to be fed [MQTT-3.3.1-9] to [MQTT-3.3.1-11]. One that replaces another
/// takes over what that one was owed.
bool owes_feed(const Subscribe& subscribe, const Subscription* replaced) {
  if (is_shared(subscribe.filter)) return false;
  if (replaced != nullptr && replaced->feed_owed) return true;
  const auto handling = subscribe.options.retain_handling;
  return handling == codec::RetainHandling::send ||
         (handling == codec::RetainHandling::send_if_new && replaced == nullptr);
}

}  // namespace

void StateMachine::run(Work& work, const Subscribe& subscribe) {
  const Found found = find_owned(subscribe.name, subscribe.incarnation);
  if (found.result != Result::done) return refuse(work, found.result);
  if (subscribe.filter.empty() || subscribe.filter.size() > kMaxNameBytes || !has_numbers(work)) {
    return refuse(work, Result::invalid);
  }
  Inbox& inbox = *found.session->inbox;
  const auto present = inbox.subscriptions.find(subscribe.filter);
  const bool is_new = present == inbox.subscriptions.end();
  if (is_new && inbox.subscriptions.size() >= inbox.quota.max_subscriptions) {
    return refuse(work, Result::full);
  }
  if (is_new && !subscribe.may_add) return refuse(work, Result::over_total);
  const Subscription subscription{
      .options = subscribe.options,
      .id = subscribe.id,
      .incarnation = next_number(work),
      .feed_owed = owes_feed(subscribe, is_new ? nullptr : &present->second)};
  work.put(subscription_key(found.key, subscribe.filter), subscription_value(subscription));
  if (is_new) {
    inbox.subscriptions.emplace(subscribe.filter, subscription);
    ++inbox.usage.subscriptions;
    if (is_shared(subscribe.filter)) ++inbox.usage.shared;
  } else {
    present->second = subscription;
  }
  work.applied.reply.results.push_back({.operation = work.operation,
                                        .result = Result::done,
                                        .replaced = !is_new,
                                        .incarnation = subscription.incarnation,
                                        .previous = {}});
}

void StateMachine::run(Work& work, const Unsubscribe& unsubscribe) {
  const Found found = find_owned(unsubscribe.name, unsubscribe.incarnation);
  if (found.result != Result::done) return refuse(work, found.result);
  Inbox& inbox = *found.session->inbox;
  if (inbox.subscriptions.erase(unsubscribe.filter) == 0) return refuse(work, Result::absent);
  --inbox.usage.subscriptions;
  if (is_shared(unsubscribe.filter)) --inbox.usage.shared;
  work.erase(subscription_key(found.key, unsubscribe.filter));
}

void StateMachine::run(Work& work, const Fed& fed) {
  const Found found = find_owned(fed.name, fed.incarnation);
  if (found.result != Result::done) return refuse(work, found.result);
  auto& subscriptions = found.session->inbox->subscriptions;
  const auto subscription = subscriptions.find(fed.filter);
  if (subscription == subscriptions.end() || !subscription->second.feed_owed ||
      subscription->second.incarnation != fed.route) {
    return;
  }
  subscription->second.feed_owed = false;
  work.put(subscription_key(found.key, fed.filter), subscription_value(subscription->second));
}

/// A second one for the same packet id is a resend: what was said first stays.
void StateMachine::run(Work& work, const Accept& accept) {
  const Found found = find_owned(accept.name, accept.incarnation);
  if (found.result != Result::done) return refuse(work, found.result);
  if (accept.packet_id == 0) return refuse(work, Result::invalid);
  const Accepted accepted{
      .packet_id = accept.packet_id, .sequence = accept.sequence, .handed_out = false};
  if (!found.session->inbox->accepted.emplace(accept.packet_id, accepted).second) return;
  work.put(accepted_key(found.key, accept.packet_id), accepted_value(accepted));
}

void StateMachine::run(Work& work, const HandedOut& handed_out) {
  const Found found = find_since(handed_out.name, handed_out.incarnation);
  if (found.result != Result::done) return refuse(work, found.result);
  auto& all = found.session->inbox->accepted;
  const auto accepted = all.find(handed_out.packet_id);
  if (accepted == all.end() || accepted->second.handed_out) return;
  if (accepted->second.sequence != handed_out.sequence) return;
  accepted->second.handed_out = true;
  work.put(accepted_key(found.key, handed_out.packet_id), accepted_value(accepted->second));
}

void StateMachine::run(Work& work, const Release& release) {
  const Found found = find_owned(release.name, release.incarnation);
  if (found.result != Result::done) return refuse(work, found.result);
  if (found.session->inbox->accepted.erase(release.packet_id) == 0) return;
  work.erase(accepted_key(found.key, release.packet_id));
}

}  // namespace skald::inbox
