// The ranges of one store: who gets which message, which replicas are made and destroyed, one group
// commit for all of them.
//
// Owned by the store's shell, used from one thread. A pure core: it touches neither of the two
// databases; what it wants of them is in HostReady, in an order that every crash survives:
//
//  - A replica's data (data store) and its log (log store) are two databases. What leads to a
//    *later* state in the data is flushed before the log follows (snapshot install, bootstrap), so
//    that after a crash the data may be ahead of the log, never behind its base: start() then lets
//    the log begin anew at the data.
//  - A split is in the data by an ordinary, unflushed batch, in the log by the child's birth. A
//    crash may undo the first: start() keeps the child's log aside (an *embryo*) and lets the
//    parent apply its log again up to the split; nothing may replace the parent's data before.
//  - A replica is destroyed only on proof; then all data is flushed (its children may stand on the
//    same batch), log and tombstone change in one commit, and the data goes last.
//
// Bounds: kMaxUninitialised replicas that were made by a message and have no data.
#pragma once

#include <cstdint>
#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <set>
#include <string>
#include <utility>
#include <vector>

#include "kv/range/messages.h"
#include "kv/range/range.h"
#include "kv/range/tombstone.h"

namespace skald::range {

inline constexpr std::size_t kMaxUninitialised = 1000;

struct HostOptions {
  RangeOptions range;  ///< `store` included
  store::StoreNumber number = 0;
  std::function<std::unique_ptr<Machine>()> make_machine;
};

/// What the shell found in the two databases.
struct HostStart {
  struct Log {
    store::ReplicaKey key;
    store::ReplicaLog log;
    std::vector<store::LogEntry> entries;
  };
  std::vector<Log> logs;
  std::vector<std::pair<store::ReplicaRecord, store::Applied>> data;
  std::vector<store::StoreRecord> records;
};

/// To be carried out in field order; writes of one call before those of the next.
///
///  - `serve`: see RangeReady::serve_until_us; 0 also when the replica is gone.
///  - `packets` may leave at once.
///  - `data`: written, each a batch of its own; then, if `flush`, the data store is flushed.
///  - `abandon`: spaces of snapshots that are not wanted.
///  - `log`: synced; then StoreHost::logged(commit), unless that is 0.
///  - `replies` and `effects` may leave at once.
struct HostReady {
  struct Effect {
    RangeId range;
    ApplyResult::Effect effect;
  };
  struct Snapshot {
    RangeId range;
    ReplicaId from;
    raft::SnapshotRequest request;
    StoreId to;
  };
  struct Event {
    RangeId range;
    ReplicaId replica;
    raft::Event event;
  };

  struct Serve {
    RangeId range;
    std::uint64_t until_us = 0;
  };

  std::vector<Serve> serve;
  std::vector<Packet> packets;
  std::vector<store::DataBatch> data;
  bool flush = false;
  std::vector<store::Space> abandon;
  store::WriteSet log;
  std::uint64_t commit = 0;
  std::vector<RangeReady::Answer> replies;
  std::vector<Effect> effects;
  std::vector<Snapshot> snapshots;
  std::vector<Event> events;
  std::vector<SnapshotAck> acks;  ///< for those who send snapshots

  bool empty() const {
    return serve.empty() && packets.empty() && data.empty() && !flush && abandon.empty() &&
           log.empty() && replies.empty() && effects.empty() && snapshots.empty() &&
           events.empty() && acks.empty();
  }
};

struct HostCounters {
  std::uint64_t created = 0;  ///< uninitialised replicas
  std::uint64_t destroyed = 0;
  std::uint64_t splits = 0;       ///< children that began here
  std::uint64_t splits_void = 0;  ///< children that this store did not want any more
  std::uint64_t strays = 0;       ///< messages for replicas that may not be here
  std::uint64_t refused = 0;      ///< over kMaxUninitialised
};

class StoreHost {
 public:
  StoreHost(HostOptions options, Random random) : options_(std::move(options)), random_(random) {}

  /// Once, first. An Error is for the operator: data and log do not fit together.
  Status start(HostStart found);
  /// The first replicas of a key space: call with the same descriptor on every store it names.
  /// `space` and `local_space` are fresh ones of the data store.
  void bootstrap(const Descriptor& descriptor, store::Space space, store::Space local_space);

  void tick(std::uint64_t now_us, std::uint64_t wall_us);
  void receive(const Packet& packet);
  /// All stores of the subcluster, as far as gossip knows: whom a replica asks that has no data.
  void set_peers(std::set<StoreId> peers) { peers_ = std::move(peers); }
  void store_disconnected(StoreId store);
  void request(RangeId range, const DataRequest& request);
  void read(RangeId range, const ReadRequest& request);
  void manage(RangeId range, const ManageRequest& request);
  void logged(std::uint64_t commit);
  /// With serve leases: see Range::published.
  void published(RangeId range, raft::Index index);
  void flushed(RangeId range, const store::Applied& applied);
  void snapshot_arrived(RangeId range, ReplicaId to, ReplicaId from, raft::Term term,
                        StagedSnapshot staged);
  void snapshot_progress(RangeId range, ReplicaId to);
  void snapshot_finished(RangeId range, ReplicaId to, raft::Index index, bool ok);
  /// Quorum lost for good (recovery.cc): the replica here becomes the only voter, of a new
  /// generation. Loses what only the lost replicas had. An Error if it cannot be done.
  Status recover(RangeId range);

  HostReady take_ready();

  /// Ranges whose machine waits for its records, and those that have entries to apply.
  std::vector<RangeId> to_rebuild() const;
  std::vector<RangeId> to_apply() const;
  /// `allocate` gives a fresh space of the data store. The result goes into the data store at once.
  store::DataBatch apply(RangeId range, std::size_t bytes_max,
                         const std::function<store::Space()>& allocate);

  Range* find(RangeId range);
  /// Whether matches on this store's replica may be answered at `now_us` of tick()'s clock.
  bool may_serve(RangeId range, std::uint64_t now_us);
  const std::map<RangeId, std::unique_ptr<Range>>& ranges() const { return ranges_; }
  std::optional<ReplicaId> tombstone(RangeId range) const;
  bool has_embryo(RangeId range) const { return embryos_.contains(range); }
  StoreId store() const { return options_.range.store; }
  const HostCounters& counters() const { return counters_; }
  /// Whether a snapshot of `descriptor` for `to` may be staged now, is to wait, or is not wanted.
  SnapshotAck::Status judge_snapshot(const Descriptor& descriptor, ReplicaId to) const;

 private:
  struct Embryo {
    HostStart::Log found;
    Birth birth;
  };
  struct Issued {
    RangeId range;
    ReplicaId replica;
    std::uint64_t instance = 0;
    std::uint64_t write_number = 0;
    bool destroyed = false;  ///< then the data follows
  };
  struct Slot {
    std::uint64_t instance = 0;
    bool dying = false;
    std::uint64_t born = 0;   ///< tick
    StoreId maker;            ///< whose message made it
    std::set<StoreId> hints;  ///< who may know whether it is still a member
  };

  store::ReplicaKey key(RangeId range, ReplicaId replica) const {
    return {options_.number, range, replica};
  }
  Range& add(RangeStart start);
  static raft::MemoryLog log_of(const HostStart::Log& found);
  raft::Index replay_floor(const store::ReplicaKey& key) const;
  void touch(RangeId range) { touched_.insert(range); }
  void post(StoreId to, bool control, Body body);

  // host_start.cc
  Status start_record(const store::StoreRecord& record);
  Status start_data(const store::ReplicaRecord& record, const store::Applied& applied,
                    const HostStart::Log* found);
  Status start_log(const HostStart::Log& found);

  // host_messages.cc
  void on(StoreId from, const RaftMessage& body);
  void on(StoreId from, const MembershipQuery& body);
  void on(StoreId from, const MembershipAnswer& body);
  void on(StoreId from, const SnapshotChunk&) { static_cast<void>(from); }  // the shell's
  void on(StoreId from, const SnapshotAck& body);
  void on(StoreId from, const VisibleReport& body);
  void on(StoreId from, const LeaseGrant& body);
  Range* make_for(StoreId from, const RaftMessage& body);
  void ask_membership(Range& range);
  bool is_proof(const Range& range, const MembershipAnswer& answer) const;
  void destroy(Range& range, const Descriptor& last_known);
  void answer_queries(Range& range, std::vector<RangeReady::Answer>& replies);
  void bury(HostReady& ready);

  void take(RangeId id, HostReady& ready);
  store::DataBatch split(Range& parent, SplitOff split, store::DataBatch batch,
                         const std::function<store::Space()>& allocate);
  bool wants_child(RangeId child, ReplicaId replica);

  const HostOptions options_;
  Random random_;
  std::map<RangeId, std::unique_ptr<Range>> ranges_;
  std::map<RangeId, Slot> slots_;
  std::map<RangeId, Embryo> embryos_;
  std::map<RangeId, Tombstone> tombstones_;
  std::set<StoreId> peers_;
  std::set<RangeId> touched_;
  std::map<std::pair<StoreId, bool>, Packet> outbox_;
  HostReady pending_;
  std::map<std::uint64_t, std::vector<Issued>> issued_;  ///< by commit
  std::vector<Issued> to_issue_;
  std::vector<store::ReplicaWrite> births_;
  std::vector<RangeId> dying_;  ///< to be buried with the next commit
  std::uint64_t next_commit_ = 1;
  std::uint64_t next_instance_ = 1;
  std::uint64_t wall_us_ = 0;
  std::uint64_t ticks_ = 0;

  struct Query {
    StoreId from;
    RangeId range;
    ReplicaId replica;
  };
  std::map<std::uint64_t, Query> queries_;  ///< by read id, top bit set
  std::uint64_t next_query_ = std::uint64_t{1} << 63;
  HostCounters counters_;
};

}  // namespace skald::range
