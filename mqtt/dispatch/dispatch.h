// The dispatch core of one loop: from a publication to everyone who gets it.
//
// Matching is a plain call on immutable snapshots (routes of the cluster, interest of this node)
// and on the loop's own table. Receivers on this loop are handed the message at once; what goes to
// other loops of the node is gathered into one batch a loop for the whole read burst, and what goes
// to persistent sessions into lists for their inbox ranges (inbox_delivery.h).
//
// Owned by the loop's post office; single threaded; pure: its shell flushes sockets and sends
// batches.
#pragma once

#include <absl/container/flat_hash_map.h>

#include <cstdint>
#include <memory>
#include <string_view>
#include <utility>
#include <vector>

#include "config/base/ids.h"
#include "mqtt/dispatch/back_pressure.h"
#include "mqtt/dispatch/fan_out.h"
#include "mqtt/dispatch/inbox_delivery.h"
#include "mqtt/dispatch/live_memory.h"
#include "mqtt/dispatch/local_table.h"
#include "mqtt/dispatch/match_cache.h"
#include "mqtt/dispatch/node_routes.h"
#include "mqtt/dist/route_snapshot.h"
#include "mqtt/publication.h"
#include "mqtt/session/session.h"
#include "mqtt/share/chooser.h"

namespace skald::dispatch {

/// One publication for another loop of this node.
struct LoopItem {
  mqtt::PublicationRef publication;
  std::uint64_t member = 0;    // session of a shared group's member; 0: all subscribers there
  session::GroupKeyRef group;  // with `member`
  std::uint32_t redispatches = 0;
  codec::QoS member_qos = codec::QoS::at_most_once;
};

/// What one read burst has for one other loop.
struct LoopBatch {
  Credit credit;  // to be given back
  std::vector<LoopItem> items;
};

/// What became of a publication.
struct PublishResult {
  bool matched = false;  // somebody has a matching subscription
  /// Inboxes are to get it: it is the last of inserts(). Its ack waits until they have it.
  bool pending = false;
};

class Dispatch {
 public:
  struct Options {
    std::uint16_t loop = 0;
    std::uint16_t loops = 1;
    Life life;
    std::uint64_t seed = 0;
    std::size_t match_cache_entries = 65'536;
    std::size_t match_cache_bytes = 64 * 1024 * 1024;
    std::size_t flush_from_bytes = 64 * 1024;  // a burst's output to one session is flushed at this
    BackPressure::Options back_pressure;
  };

  Dispatch(const Options& options, session::Workspace& workspace);

  // -- snapshots: newer ones replace older ones at the start of a burst ---------------------------

  void set_routes(std::shared_ptr<const dist::RouteSnapshot> routes);
  void set_interest(std::shared_ptr<const InterestSnapshot> interest);

  /// The limits of tenants from now on; null: nobody has any.
  void limit_fan_out(FanOutLimits* limits);

  // -- sessions of this loop
  // ------------------------------------------------------------------------

  /// The session is connected: it may receive as a member of shared groups. `number`: its name on
  /// this loop (Session::number); 0: that of its publisher.
  void add(session::Session& session, std::uint64_t number = 0);
  /// The session is over. The caller has unsubscribed it.
  void remove(session::Session& session);
  session::Session* find(std::uint64_t number) const;

  /// A filter without $share, of a session that is not persistent: those have routes of their own.
  /// True when it is the loop's first: the node must be told.
  bool subscribe(session::Session& session, std::string_view filter,
                 const session::Session::Subscription& subscription, bool replace);
  /// True when it was the loop's last.
  bool unsubscribe(session::Session& session, std::string_view filter);

  // -- publications
  // ---------------------------------------------------------------------------------

  /// Hands `publication` to everyone. `publisher` is null for wills and for what the broker itself
  /// publishes.
  PublishResult publish(mqtt::PublicationView& publication, session::Session* publisher,
                        mqtt::TimeMs now_ms);
  /// A batch from another loop. Its credit comes back through back_pressure().take_credits().
  void receive(const LoopBatch& batch, mqtt::TimeMs now_ms);
  /// A message that a group member could not finish goes to another one; not matched: there is
  /// none. Nobody waits for it any more.
  PublishResult redispatch(const session::SharedMessage& message, mqtt::TimeMs now_ms) {
    return redispatch(message, {}, now_ms);
  }
  /// The same for a member whose inbox has refused an insert (no_inbox, full): with `pending`, who
  /// waited for that one now waits for the new one.
  PublishResult redispatch(const mqtt::PublicationRef& publication, const SharedInbox& refused,
                           mqtt::TimeMs now_ms);

  // -- what persistent sessions get: to be taken after publish, receive, redispatch ---------------

  /// QoS 1 and 2, in order. The last one's tag is the caller's to set.
  std::vector<InboxDelivery>& inserts() { return inserts_; }
  std::vector<InboxDelivery> take_inserts() { return std::exchange(inserts_, {}); }
  /// QoS 0.
  bool has_unlogged() const { return !unlogged_.empty(); }
  std::vector<InboxDelivery> take_unlogged() { return std::exchange(unlogged_, {}); }

  /// While subscriptions wait for their retained messages: what they are handed live meanwhile is
  /// remembered here, and not fed again.
  void watch_live(bool watch) { watches_live_ = watch; }
  const LiveMemory& live_memory() const { return live_; }
  void tick(mqtt::TimeMs now_ms) { live_.tick(now_ms); }

  // -- what the shell must do
  // -----------------------------------------------------------------------

  /// Sessions whose output grew since they were last taken; null: gone since. Flush them at the end
  /// of the round.
  std::vector<session::Session*>& dirty() { return dirty_; }
  /// Sessions that got much: flush them now, then settle() the publisher against them.
  bool has_pressed() const { return !pressed_.empty(); }
  std::vector<session::Session*> take_pressed();
  /// After the flush: the publisher waits for those that are still behind.
  void settle(session::Session& publisher, const std::vector<session::Session*>& pressed,
              mqtt::TimeMs now_ms);
  /// After the flush: the credit of a batch goes back, now or when those still behind have caught
  /// up.
  void return_credit(const Credit& credit, const std::vector<session::Session*>& pressed,
                     mqtt::TimeMs now_ms);
  /// The end of a burst: the batches for other loops, by loop.
  bool has_batches() const { return batched_ != 0; }
  std::vector<std::pair<std::uint16_t, LoopBatch>> take_batches(session::Session* publisher);

  std::size_t match_cache_bytes() const { return cache_.bytes(); }

  BackPressure& back_pressure() { return back_pressure_; }
  void mark_dirty(session::Session& session) {
    if (session.dirty) return;
    session.dirty = true;
    dirty_.push_back(&session);
  }

  struct Counters {
    std::uint64_t publications = 0;
    std::uint64_t matches_made = 0;  // cache misses and entries gone stale
    std::uint64_t no_subscribers = 0;
    std::uint64_t to_other_loops = 0;
    std::uint64_t to_inboxes = 0;  // publications, and of those to shared groups one a member
    std::uint64_t redispatched = 0;
    std::uint64_t shared_undeliverable = 0;  // a group whose members were all gone or full
  };
  const Counters& counters() const { return counters_; }

 private:
  /// The tenant of the last match: where its topics are and which versions hold, for as long as no
  /// snapshot and no subscription changes.
  struct LastTenant {
    std::string tenant;
    MatchCache::Topics* topics = nullptr;
    MatchVersions versions;
    FanOut fan_out;
  };

  MatchEntry& match(std::string_view tenant, std::string_view topic);
  void turn_to(std::string_view tenant);
  void forget_last() {
    last_tenant_ = {};
    last_entry_ = nullptr;
  }
  void fill(MatchEntry& entry, std::string_view tenant, std::string_view topic);
  void limit_groups(MatchEntry& entry) const;
  void merge_local(MatchEntry& entry, std::string_view tenant, std::string_view topic,
                   const session::Session* without_no_local_of);
  void deliver_local(const MatchEntry& entry, mqtt::PublicationView& publication,
                     const session::Session* publisher);
  void deliver_to_no_local(mqtt::PublicationView& publication, session::Session& publisher);
  bool deliver_to(session::Session& session, const session::Delivery& delivery);
  /// Who is not to get a shared message again.
  struct Excluded {
    std::uint64_t session = 0;
    std::string_view inbox{};
  };
  bool deliver_shared(const SharedTarget& target, mqtt::PublicationView& publication,
                      std::uint32_t redispatches, const Excluded& excluded);
  bool hand_to_member(session::Session& member, const session::GroupKeyRef& group, codec::QoS qos,
                      std::uint32_t redispatches);
  bool deliver_to_member(const dist::SessionMember& member, const SharedTarget& target,
                         mqtt::PublicationView& publication, std::uint32_t redispatches);
  share::Standing standing(const dist::GroupMember& member,
                           const std::vector<std::uint64_t>& refused,
                           std::string_view refused_inbox) const;
  PublishResult redispatch(const session::SharedMessage& message, const Excluded& excluded,
                           mqtt::TimeMs now_ms);
  void begin_inboxes();
  InboxDelivery& delivery_of(mqtt::PublicationView& publication, bool logged);
  void deliver_to_inboxes(const std::shared_ptr<const dist::InboxMatches>& matches,
                          mqtt::PublicationView& publication);
  void deliver_to_member_inbox(const topic::Ref<const dist::GroupMemberEntry>& member,
                               const SharedTarget& target, mqtt::PublicationView& publication,
                               std::uint32_t redispatches);
  void batch(std::uint16_t loop, LoopItem item);

  Options options_;
  session::Workspace& workspace_;
  LocalTable local_;
  MatchCache cache_;
  LastTenant last_tenant_;
  std::string last_topic_;  // of last_entry_, of last_tenant_
  MatchEntry* last_entry_ = nullptr;
  BackPressure back_pressure_;
  share::Chooser chooser_;
  session::WireForms forms_;
  std::shared_ptr<const dist::RouteSnapshot> routes_;
  std::shared_ptr<const InterestSnapshot> interest_;
  FanOutLimits* fan_out_ = nullptr;
  absl::flat_hash_map<std::uint64_t, session::Session*> sessions_;
  std::vector<session::Session*> dirty_;
  std::vector<session::Session*> pressed_;
  std::vector<LoopBatch> batches_;  // by loop
  LoopMask batched_ = 0;            // loops with something in batches_
  std::vector<InboxDelivery> inserts_;
  std::vector<InboxDelivery> unlogged_;
  std::size_t inserts_before_ = 0;  // how many there were before the publication at hand
  std::size_t unlogged_before_ = 0;
  LiveMemory live_;
  bool watches_live_ = false;
  Counters counters_;
};

}  // namespace skald::dispatch
