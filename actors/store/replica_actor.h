// One replica of a range: what its machine needs beside apply. Published snapshots, effects,
// deadlines, questions about stored data.
//
// Pinned to the store's thread; made, called and ended by the store actor. A kind of range each has
// its class here.
#pragma once

#include <caf/actor.hpp>
#include <cstdint>
#include <map>
#include <string>
#include <string_view>
#include <vector>

#include "actors/loop/pinned.h"
#include "actors/messages.h"
#include "kv/range/range.h"
#include "kv/store/data_store.h"
#include "mqtt/inbox/machine.h"

namespace skald::actors {

class StoreActor;

class ReplicaActor : public Pinned {
 public:
  ReplicaActor(caf::actor_config& config, StoreActor& store, RangeId range)
      : Pinned(config), store_(store), range_(range) {}

  const char* name() const override { return "replica"; }
  RangeId range_id() const { return range_; }

  // Called by the store actor.

  /// Commands were applied and their writes are in the data, or the machine was rebuilt. Before
  /// the replies leave.
  virtual void applied(range::Range& range) = 0;
  /// Adds what the machine knows of tenants.
  virtual void report(range::Range&, StoreReport&) {}
  /// Every tick of the store: what is due is proposed, if this replica leads.
  virtual void tick(range::Range&) {}
  /// The reply to propose().
  virtual void proposed(const range::Reply&) {}
  /// Carries out what a command led to (HostReady::effects).
  virtual void effect(range::Range&, std::string_view) {}
  /// This store has the range no longer.
  virtual void gone() {}

 protected:
  StoreActor& store() { return store_; }

 private:
  StoreActor& store_;
  const RangeId range_;
};

class DistReplica final : public ReplicaActor {
 public:
  using ReplicaActor::ReplicaActor;
  caf::behavior make_behavior() override;
  void applied(range::Range& range) override;
  void report(range::Range& range, StoreReport& to) override;
};

class RetainReplica final : public ReplicaActor {
 public:
  using ReplicaActor::ReplicaActor;
  caf::behavior make_behavior() override;
  void applied(range::Range& range) override;
  void report(range::Range& range, StoreReport& to) override;
  void tick(range::Range& range) override;
  void proposed(const range::Reply& reply) override;

 private:
  bool expiring_ = false;
};

class InboxReplica final : public ReplicaActor {
 public:
  using ReplicaActor::ReplicaActor;
  caf::behavior make_behavior() override;
  void applied(range::Range& range) override;
  void report(range::Range& range, StoreReport& to) override;
  void tick(range::Range& range) override;
  void proposed(const range::Reply& reply) override;
  void gone() override;
  void effect(range::Range& range, std::string_view ticket) override;

  /// Intents that post offices or the route keeper have carried out.
  void intents_done(const std::vector<std::uint64_t>& intents);

 private:
  void carry_out(inbox::Effect& effect);
  void propose_some(bool due);
  /// What of it counts in a tenant's totals.
  struct Held {
    std::uint64_t sessions = 0;
    std::uint64_t bytes = 0;
    std::uint64_t subscriptions = 0;  // not shared
    std::uint64_t shared = 0;
  };
  void tell(const std::string& tenant, const Held& now);

  bool proposing_ = false;
  std::map<std::string, Held, std::less<>>
      told_;  // by tenant, what NodeState::usage has of this range
  /// Carried out and not yet proposed; proposed and not yet known to be committed.
  std::vector<std::uint64_t> done_, done_proposed_;
};

/// The messages of a queue, out of the data. Requires: `range` leads.
MessagesFetched fetch_messages(const FetchMessages& wanted, range::Range& range,
                               store::DataStore& data);

}  // namespace skald::actors
