// One store of this node: its ranges, their data, and the thread that all of them live on.
//
// Pinned to a loop of its own without sockets, together with one replica actor for each range
// (replica_actor.h), which it calls and which call it directly. It steps the StoreHost, carries out
// what that says in the order of HostReady's comment, applies, and answers who asked: one message a
// round for each asker. The log goes to the disk thread (log_writer.h), long work on the data to
// Background.
//
// A data engine that fails is poisoned. The actor then drops the host, reopens the data, which goes
// back to its last flush, and starts again from the log: what was in flight is asked again by the
// lanes. It tries once a second until the disk lets it.
//
// Bounds: what is asked and not answered is bounded by the lanes' windows and by Raft's limit of
// uncommitted bytes, past which requests are answered kBusy.
#pragma once

#include <absl/container/flat_hash_map.h>
#include <event2/event.h>

#include <caf/actor.hpp>
#include <cstdint>
#include <map>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "actors/loop/pinned.h"
#include "actors/messages.h"
#include "actors/node_state.h"
#include "actors/store/background.h"
#include "actors/store/log_writer.h"
#include "kv/range/store_host.h"
#include "kv/store/data_store.h"

namespace skald::actors {

class ReplicaActor;

/// What a store is made from; by the node, before its thread runs.
struct StoreSetup {
  StoreKind kind = StoreKind::dist;
  std::unique_ptr<store::DataStore> data;
  std::unique_ptr<range::StoreHost> host;
  LogWriter* log = nullptr;          // outlives the actor
  Background* background = nullptr;  // likewise
  caf::actor node;                   // told StoreReady
  bool in_memory = false;            // flushes cost nothing, and keep the log short
};

/// A host over what `log` and `data` hold, or the first ranges of a new store. An Error is for the
/// operator.
Result<std::unique_ptr<range::StoreHost>> make_host(const NodeState& node, StoreKind kind,
                                                    range::HostStart found, store::DataStore& data);

class StoreActor final : public Pinned, private Loop::Client {
 public:
  StoreActor(caf::actor_config& config, NodeState& node, std::shared_ptr<StoreSetup> setup);

  const char* name() const override { return store_name(kind_); }
  caf::behavior make_behavior() override;
  void on_exit() override;

  // -- for the replicas of this store
  // ---------------------------------------------------------------

  NodeState& node() { return node_; }
  StoreKind kind() const { return kind_; }
  store::DataStore& data() { return *data_; }
  range::Range* find(RangeId range) { return host_ ? host_->find(range) : nullptr; }
  std::uint64_t now_ms() const { return now_ms_; }
  /// A command of the range's own, on no lane. ReplicaActor::proposed() gets the reply.
  void propose(RangeId range, std::string bytes);
  /// What a loop is sent at the end of the round.
  LoopParcel& parcel(std::size_t loop) { return parcels_[loop]; }
  void remove_routes(EndedRoutes routes) { ended_routes_.push_back(std::move(routes)); }

 private:
  /// Who asked, and by what name; nobody: a replica's own proposal, or the end of a life.
  struct Ask {
    caf::actor who;
    std::uint64_t id = 0;
    RangeId own;
    bool end_life = false;
  };

  void on_round() noexcept override;
  static void on_tick(evutil_socket_t fd, short what, void* self) noexcept;
  void begin();
  void tick();
  void request(const RangeRequests& requests);
  void end_life(const EndLifeEverywhere& end);
  void state(const SessionStateWanted& wanted);
  void fetch(const FetchMessages& wanted);
  void pass_on(const PassOn& pass);
  range::Range* range_of(std::string_view key);
  void log_read(const LogRead& read);
  void stop();
  StoreReport report(const ReportWanted& wanted);

  bool step();
  bool carry_out(range::HostReady ready);
  bool apply_some();
  void rebuild(range::Range& range);
  bool sweep_on(RangeId range, const range::Reply& reply);
  void answer(const range::RangeReady::Answer& answer);
  void match_replicas();
  void tell_ready();
  void send_parcels();

  // store_upkeep.cc
  std::size_t to_replay() const;
  void logged(const store::WriteSet& set);
  bool quiet() const;
  void maybe_flush();
  void flushed();
  bool is_worth_compacting();
  void maybe_tidy();
  void tidied(const DataTidied& done);
  bool failed(const Status& status);
  void maybe_recover();

  NodeState& node_;
  const StoreKind kind_;
  std::unique_ptr<store::DataStore> data_;
  std::unique_ptr<range::StoreHost> host_;  // null while the data is being recovered
  LogWriter& log_;
  Background& background_;
  caf::actor node_actor_;
  const bool in_memory_;
  event* tick_event_ = nullptr;
  std::uint64_t now_ms_ = 0;
  std::map<RangeId, caf::actor> actors_;
  std::map<RangeId, ReplicaActor*> replicas_;
  absl::flat_hash_map<std::uint64_t, Ask> asks_;
  std::uint64_t last_ask_ = 0;
  std::vector<std::pair<caf::actor, RangeReplies>> replies_;
  NodeServes serves_;                // nobody until the node serves
  std::vector<LoopParcel> parcels_;  // by loop
  std::vector<EndedRoutes> ended_routes_;
  // What waits for a flush, a compaction, a reopening: store_upkeep.cc.
  std::size_t unflushed_bytes_ = 0;
  std::size_t freed_bytes_ = 0;  // of the log, since memory was last given back
  std::uint64_t logged_ms_ = 0;  // of the last command
  std::uint64_t erased_ = 0;     // keys, since the last compaction
  // Of log, since the last compaction; an earlier life may have left much to compact.
  std::uint64_t logged_bytes_ = std::uint64_t{1} << 40;
  std::vector<store::Garbage> to_compact_;
  std::uint64_t compact_ms_ = 0;  // spent on it since it began
  std::uint64_t compact_not_before_ms_ = 0;
  std::uint64_t tidied_ms_ = 0;   // when the piece under way began
  std::uint64_t flushed_ms_ = 0;  // or of the last try to reopen
  bool flushing_ = false;         // Background is in the data
  bool tidying_ = false;          // likewise
  bool told_ready_ = false;
  bool recovering_ = false;
  std::size_t lives_to_end_ = 0;
  EndLifeEverywhere ending_;
  bool end_failed_ = false;
  bool end_again_ = false;
  std::string end_bytes_;  // the machines' command for it
  caf::actor end_asked_by_;
};

}  // namespace skald::actors
