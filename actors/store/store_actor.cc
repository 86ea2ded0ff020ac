#include "actors/store/store_actor.h"

#include <spdlog/spdlog.h>

#include <algorithm>
#include <caf/send.hpp>

#include "actors/store/replica_actor.h"
#include "config/base/assert.h"
#include "mqtt/dist/codec.h"
#include "mqtt/inbox/codec.h"
#include "mqtt/inbox/keys.h"

namespace skald::actors {

namespace {

constexpr long kTickMs = 50;  // Raft's (design.md section 4)
constexpr std::size_t kApplyBytes = 256 << 10;
constexpr int kStepsPerRound = 8;
/// Routes of an ended life that go in one command.
constexpr std::uint32_t kSweep = 1000;

}  // namespace

const char* store_name(StoreKind kind) {
  static constexpr const char* kNames[] = {"meta", "dist", "inbox", "retain"};
  return kNames[static_cast<std::size_t>(kind)];
}

StoreActor::StoreActor(caf::actor_config& config, NodeState& node,
                       std::shared_ptr<StoreSetup> setup)
    : Pinned(config),
      node_(node),
      kind_(setup->kind),
      data_(std::move(setup->data)),
      host_(std::move(setup->host)),
      log_(*setup->log),
      background_(*setup->background),
      node_actor_(setup->node),
      in_memory_(setup->in_memory),
      now_ms_(node.clock.now_ms()),
      parcels_(node.connections.size()),
      flushed_ms_(now_ms_) {}

caf::behavior StoreActor::make_behavior() {
  loop().set_client(this);
  tick_event_ = event_new(loop().base(), -1, EV_PERSIST, &StoreActor::on_tick, this);
  const timeval period{0, kTickMs * 1000};
  SKALD_ASSERT(tick_event_ != nullptr && event_add(tick_event_, &period) == 0);
  begin();
  return {[this](const RangeRequests& requests) { request(requests); },
          [this](LogSynced synced) {
            if (host_) host_->logged(synced.commit);
          },
          [this](const LogRead& read) { log_read(read); },
          [this](const DataFlushed& done) {
            flushing_ = false;
            if (!failed(done.status)) flushed();
          },
          [this](const DataTidied& done) { tidied(done); },
          [this](const EndLifeEverywhere& end) {
            end_asked_by_ = caf::actor_cast<caf::actor>(current_sender());
            end_life(end);
          },
          [this](const SessionStateWanted& wanted) { state(wanted); },
          [this](const FetchMessages& wanted) { fetch(wanted); },
          [this](const PassOn& pass) { pass_on(pass); },
          [this](const IntentsDone& done) {
            const auto replica = replicas_.find(done.range);
            if (replica == replicas_.end()) return;
            static_cast<InboxReplica*>(replica->second)->intents_done(done.intents);
          },
          [this](const NodeServes& serves) { serves_ = serves; },
          [](Tick) {},  // only wakes the loop: there is more to apply
          [this](const ReportWanted& wanted) { return report(wanted); },
          [this](Stop) { stop(); }};
}

void StoreActor::on_exit() {
  loop().set_client(nullptr);
  if (tick_event_ != nullptr) event_free(std::exchange(tick_event_, nullptr));
  for (const auto& [range, replica] : actors_) {
    send_exit(replica, caf::exit_reason::user_shutdown);
  }
  actors_.clear();
  replicas_.clear();
  asks_.clear();
  replies_.clear();
  serves_ = {};
  node_actor_ = nullptr;
  end_asked_by_ = nullptr;
}

/// A range without other voters has nobody to wait for.
void StoreActor::begin() {
  for (const auto& [id, range] : host_->ranges()) {
    if (range->raft().config().voters.size() == 1) range->campaign();
  }
  unflushed_bytes_ = to_replay();
  logged_ms_ = now_ms_;
  tick();
}

void StoreActor::on_tick(evutil_socket_t, short, void* self) noexcept {
  auto* store = static_cast<StoreActor*>(self);
  store->enter();
  store->tick();
}

void StoreActor::tick() {
  now_ms_ = node_.clock.now_ms();
  if (!host_) return maybe_recover();
  if (end_again_) end_life(ending_);
  host_->tick(Clock::monotonic_us(), node_.clock.now_us());
  for (const auto& [id, replica] : replicas_) {
    range::Range* range = host_->find(id);
    if (range != nullptr && !range->needs_rebuild()) replica->tick(*range);
  }
  maybe_flush();
  maybe_tidy();
}

// -- asked
// ------------------------------------------------------------------------------------------

void StoreActor::request(const RangeRequests& requests) {
  if (!host_) return;  // lanes ask again
  const auto who = caf::actor_cast<caf::actor>(current_sender());
  for (const route::Router::Request& request : requests.requests) {
    const std::uint64_t id = ++last_ask_;
    if (const auto* data = std::get_if<range::DataRequest>(&request.body)) {
      asks_.emplace(id, Ask{who, data->id, {}, false});
      range::DataRequest renamed = *data;
      renamed.id = id;
      host_->request(request.range, renamed);
    } else {
      const auto& read = std::get<range::ReadRequest>(request.body);
      asks_.emplace(id, Ask{who, read.id, {}, false});
      range::ReadRequest renamed = read;
      renamed.id = id;
      host_->read(request.range, renamed);
    }
  }
}

void StoreActor::propose(RangeId range, std::string bytes) {
  const range::Range* there = find(range);
  if (there == nullptr) return;
  const std::uint64_t id = ++last_ask_;
  asks_.emplace(id, Ask{nullptr, 0, range, false});
  host_->request(range, {.id = id,
                         .boundary_ver = there->epoch().boundary_ver,
                         .lane = {},
                         .seq = 0,
                         .bytes = std::move(bytes),
                         .level = 1});
}

/// Asked by the node, and again on a tick until every range has done it.
void StoreActor::end_life(const EndLifeEverywhere& end) {
  ending_ = end;
  end_again_ = !host_;
  if (!host_) return;
  lives_to_end_ = host_->ranges().size();
  std::string& bytes = end_bytes_;
  if (kind_ == StoreKind::dist) {
    bytes = dist::encode_command(dist::EndLife{end.life, kSweep});
  } else if (kind_ == StoreKind::inbox) {
    inbox::Command command;
    command.operations.emplace_back(inbox::EndLife{end.life});
    bytes = inbox::encode_command(command);
  }
  for (const auto& [id, range] : host_->ranges()) {
    const std::uint64_t ask = ++last_ask_;
    asks_.emplace(ask, Ask{nullptr, 0, id, true});
    host_->manage(id, {.id = ask, .epoch = {}, .body = range::EndLife{end.life, bytes}});
  }
}

/// True when the range has more to take away of the life that ends.
bool StoreActor::sweep_on(RangeId range, const range::Reply& reply) {
  if (kind_ != StoreKind::dist) return false;
  const auto done = dist::decode_reply(reply.bytes);
  SKALD_ASSERT(done.ok());
  if (!done->more) return false;
  const std::uint64_t ask = ++last_ask_;
  asks_.emplace(ask, Ask{nullptr, 0, range, true});
  host_->request(range, {.id = ask,
                         .boundary_ver = host_->find(range)->epoch().boundary_ver,
                         .lane = {},
                         .seq = 0,
                         .bytes = end_bytes_,
                         .level = 1});
  return true;
}

void StoreActor::answer(const range::RangeReady::Answer& answer) {
  const auto found = asks_.find(answer.id);
  if (found == asks_.end()) return;
  const Ask ask = std::move(found->second);
  asks_.erase(found);
  if (ask.end_life) {
    const bool done = answer.reply.outcome == range::Outcome::kDone;
    if (done && sweep_on(ask.own, answer.reply)) return;
    end_failed_ |= !done;
    if (--lives_to_end_ > 0) return;
    end_again_ = std::exchange(end_failed_, false);
    if (!end_again_) send(end_asked_by_, EndLifeEverywhere{});
    return;
  }
  if (ask.own) {
    const auto replica = replicas_.find(ask.own);
    if (replica != replicas_.end()) replica->second->proposed(answer.reply);
    return;
  }
  const auto there = std::find_if(replies_.begin(), replies_.end(),
                                  [&](const auto& one) { return one.first == ask.who; });
  RangeReplies& replies = there != replies_.end()
                              ? there->second
                              : replies_.emplace_back(ask.who, RangeReplies{kind_, {}}).second;
  replies.replies.emplace_back(ask.id, answer.reply);
}

void StoreActor::state(const SessionStateWanted& wanted) {
  const auto who = caf::actor_cast<caf::actor>(current_sender());
  SessionStateFound found{wanted.session, std::nullopt};
  if (range::Range* range = range_of(inbox::inbox_prefix(wanted.name))) {
    const inbox::StateMachine& machine = static_cast<inbox::Machine&>(range->machine()).machine();
    found.state = machine.session_state(wanted.name);
    if (found.state && found.state->incarnation != wanted.incarnation) found.state.reset();
  }
  send(who, std::move(found));
}

void StoreActor::fetch(const FetchMessages& wanted) {
  const auto who = caf::actor_cast<caf::actor>(current_sender());
  MessagesFetched fetched{.session = wanted.session, .messages = {}, .next = wanted.from};
  fetched.failed = true;
  if (range::Range* range = range_of(inbox::inbox_prefix(wanted.name))) {
    fetched = fetch_messages(wanted, *range, *data_);
  }
  send(who, std::move(fetched));
}

/// QoS 0 to persistent sessions goes to who has them, and not into the log.
void StoreActor::pass_on(const PassOn& pass) {
  for (const PassOn::Item& item : pass.items) {
    range::Range* range = range_of(inbox::inbox_prefix(item.target.name));
    if (range == nullptr) continue;
    const auto owner =
        static_cast<inbox::Machine&>(range->machine()).machine().owner(item.target.name);
    if (!owner || owner->life != node_.life) continue;
    parcels_[owner->session & 0xFF].unlogged.push_back(
        {*owner, item.publication, item.target.retain, item.target.subscription_ids});
  }
}

/// The range here that holds `key` and leads; null if there is none now.
range::Range* StoreActor::range_of(std::string_view key) {
  if (!host_) return nullptr;
  for (const auto& [id, range] : host_->ranges()) {
    if (!range->initialised() || range->needs_rebuild() || !range->leads_up_to_date()) continue;
    if (range->descriptor().boundary.contains(key)) return range.get();
  }
  return nullptr;
}

// -- a round
// ----------------------------------------------------------------------------------------

void StoreActor::on_round() noexcept {
  enter();
  int steps = 0;
  while (host_ && steps < kStepsPerRound && step()) ++steps;
  if (steps == kStepsPerRound) send(caf::actor_cast<caf::actor>(ctrl()), Tick{});
  for (auto& [who, replies] : std::exchange(replies_, {})) send(who, std::move(replies));
  send_parcels();
  if (!told_ready_) tell_ready();
}

/// True when something was done: there may be more.
bool StoreActor::step() {
  range::HostReady ready = host_->take_ready();
  const bool carried = !ready.empty();
  if (carried && !carry_out(std::move(ready))) return false;
  match_replicas();
  return apply_some() || carried;
}

/// False: the data engine has failed.
bool StoreActor::carry_out(range::HostReady ready) {
  for (const store::DataBatch& batch : ready.data) {
    if (failed(data_->write(batch))) return false;
  }
  if (ready.flush && failed(data_->flush())) return false;
  for (const store::Space space : ready.abandon) {
    if (failed(data_->abandon_space(space))) return false;
  }
  if (!ready.log.empty()) {
    logged(ready.log);
    log_.submit(std::move(ready.log), ready.commit, caf::actor_cast<caf::actor>(ctrl()));
  }
  for (const auto& one : ready.replies) answer(one);
  for (const range::HostReady::Effect& one : ready.effects) {
    const auto replica = replicas_.find(one.range);
    range::Range* range = host_->find(one.range);
    if (replica != replicas_.end() && range != nullptr) {
      replica->second->effect(*range, one.effect.bytes);
    }
  }
  for (const range::HostReady::Event& event : ready.events) {
    if (event.event.kind == raft::Event::Kind::kDiskStalled) {
      spdlog::warn("store {}: range {:x}: the disk is stalled", name(), event.range.value);
    }
  }
  return true;
}

bool StoreActor::apply_some() {
  for (const RangeId id : host_->to_rebuild()) rebuild(*host_->find(id));
  const std::vector<RangeId> due = host_->to_apply();
  for (const RangeId id : due) {
    const store::DataBatch batch =
        host_->apply(id, kApplyBytes, [this] { return data_->allocate_space(); });
    for (const store::DataWrite& write : batch.writes) erased_ += write.value ? 0 : 1;
    if (failed(data_->write(batch))) return false;
    range::Range& range = *host_->find(id);
    SKALD_ASSERT(!range.halted());
    if (const auto replica = replicas_.find(id); replica != replicas_.end()) {
      replica->second->applied(range);
    }
  }
  return !due.empty();
}

/// What the machine keeps in memory, from the records.
void StoreActor::rebuild(range::Range& range) {
  const store::ReplicaRecord& record = range.applier().record();
  const auto each = [&](const store::Extents& extents, auto&& take) {
    auto at = data_->iterate(extents);
    if (!at) return Status(at.error());
    for (; at->valid(); at->next()) {
      if (Status status = take(at->key(), at->value()); !status) return status;
    }
    return at->status();
  };
  Status status =
      each({{{}, record.local_space}}, [&](std::string_view key, std::string_view value) {
        return range.rebuild_local(key, value);
      });
  if (status) {
    status = each(record.extents, [&](std::string_view key, std::string_view value) {
      const range::Record one{key, value};
      return range.rebuild_chunk({&one, 1});
    });
  }
  if (!status) {
    spdlog::critical("store {}: range {:x} cannot be read: {}", name(), range.key().range.value,
                     status.error().message);
    SKALD_ASSERT(status.ok());
  }
  range.rebuild_finish();
  if (const auto replica = replicas_.find(range.key().range); replica != replicas_.end()) {
    replica->second->applied(range);
  }
}

/// One replica actor for each range that has a machine.
void StoreActor::match_replicas() {
  if (replicas_.size() == host_->ranges().size()) return;
  for (const auto& [id, range] : host_->ranges()) {
    if (!range->initialised() || replicas_.contains(id)) continue;
    caf::actor made;
    if (kind_ == StoreKind::dist) {
      made = spawn_pinned<DistReplica, caf::hidden>(loop(), *this, id);
    } else if (kind_ == StoreKind::retain) {
      made = spawn_pinned<RetainReplica, caf::hidden>(loop(), *this, id);
    } else {
      made = spawn_pinned<InboxReplica, caf::hidden>(loop(), *this, id);
    }
    replicas_[id] = static_cast<ReplicaActor*>(caf::actor_cast<caf::abstract_actor*>(made));
    actors_[id] = std::move(made);
  }
  for (auto at = actors_.begin(); at != actors_.end();) {
    if (host_->ranges().contains(at->first)) {
      ++at;
      continue;
    }
    replicas_.at(at->first)->gone();
    replicas_.erase(at->first);
    send_exit(at->second, caf::exit_reason::user_shutdown);
    at = actors_.erase(at);
  }
}

void StoreActor::send_parcels() {
  if (serves_.post_offices.empty()) return;
  for (std::size_t loop = 0; loop < parcels_.size(); ++loop) {
    if (!parcels_[loop].empty()) {
      send(serves_.post_offices[loop], std::exchange(parcels_[loop], {}));
    }
  }
  for (EndedRoutes& ended : std::exchange(ended_routes_, {})) {
    send(serves_.route_keeper, std::move(ended));
  }
}

void StoreActor::tell_ready() {
  if (!host_) return;
  StoreReady ready{.store = kind_, .ended = {}, .stamp_us = 0, .ranges = {}};
  for (const auto& [id, range] : host_->ranges()) {
    if (!range->initialised() || range->needs_rebuild() || !range->leads_up_to_date()) return;
    ready.ranges.push_back(range->descriptor());
    ready.stamp_us = std::max(ready.stamp_us, range->applier().stamp_us());
    ready.ended = std::max(ready.ended, range->applier().lanes().ended(node_.life.node));
  }
  told_ready_ = true;
  send(node_actor_, std::move(ready));
}

StoreReport StoreActor::report(const ReportWanted& wanted) {
  StoreReport report{.round = wanted.round,
                     .store = static_cast<std::uint16_t>(kind_),
                     .failing = !host_ || log_.failing(),
                     .load = {},
                     .inboxes = {},
                     .retained = {}};
  if (recovering_) return report;  // Background is in the data
  const store::DataCounters data = data_->counters();
  report.load = {.ranges = replicas_.size(),
                 .asks = asks_.size(),
                 .memory_bytes = data_->memory_bytes(),
                 .unflushed_bytes = unflushed_bytes_,
                 .batches_total = data.batches,
                 .writes_total = data.writes,
                 .flushes_total = data.flushes,
                 .garbage = data.garbage_intervals};
  for (const store::ReplicaRecord& record : data_->replicas()) {
    if (!in_memory_) report.load.disk_bytes += data_->approximate_bytes(record.extents);
  }
  for (const auto& [id, replica] : replicas_) {
    if (range::Range* range = find(id)) replica->report(*range, report);
  }
  return report;
}

}  // namespace skald::actors
