// What a store does for its disks beside writing: flushes that let the log be cut, compactions that
// give space back, and starting again when the data engine has failed.
#include <malloc.h>
#include <spdlog/spdlog.h>

#include <caf/send.hpp>
#include <utility>

#include "actors/store/replica_actor.h"
#include "actors/store/store_actor.h"
#include "config/base/assert.h"

namespace skald::actors {

namespace {

/// Of log that is held in memory and would be replayed: then the data is flushed.
constexpr std::size_t kFlushAfterBytes = 64 << 20;
constexpr std::uint64_t kFlushAfterMs = 10 * 60 * 1000;
/// Or when nothing has come for a while: a start then replays nothing.
constexpr std::uint64_t kQuietMs = 3000;
constexpr std::size_t kFlushQuietBytes = 64 << 10;
/// Keys that were erased, after which a compaction gives much back: under load, and in a quiet
/// moment, when it also must not rewrite much more than was written since the last.
constexpr std::uint64_t kCompactAfterErased = 200'000;
constexpr std::uint64_t kCompactQuietErased = 100;
constexpr std::uint64_t kCompactRewrites = 4;
/// Of the time at most one part in so many goes into compactions while there is load.
constexpr std::uint64_t kCompactShare = 10;
constexpr std::uint64_t kGarbageAtOnce = 1000;
constexpr std::uint64_t kReopenAfterMs = 1000;
constexpr std::size_t kTrimAfterBytes = 1 << 20;
/// What an entry of the log weighs in memory beside its command.
constexpr std::size_t kEntryBytes = 128;

}  // namespace

/// The weight of what the log has and the data has not.
std::size_t StoreActor::to_replay() const {
  std::size_t bytes = 0;
  for (const auto& [id, range] : host_->ranges()) {
    if (!range->initialised()) continue;
    const raft::MemoryLog& log = range->durable_log();
    const raft::Index first = std::max(range->applier().applied().index + 1, log.first_index());
    if (first > log.last_index()) continue;
    for (const raft::Entry& entry : log.entries(first, log.last_index() + 1, ~0ULL).entries) {
      bytes += entry.bytes() + kEntryBytes;
    }
  }
  return bytes;
}

void StoreActor::logged(const store::WriteSet& set) {
  std::size_t bytes = 0;
  for (const store::ReplicaWrite& write : set.replicas) {
    for (const store::LogEntry& entry : write.entries) bytes += entry.data.size() + kEntryBytes;
  }
  if (bytes == 0) return;
  unflushed_bytes_ += bytes;
  logged_bytes_ += bytes;
  logged_ms_ = now_ms_;
}

bool StoreActor::quiet() const { return now_ms_ - logged_ms_ >= kQuietMs; }

void StoreActor::maybe_flush() {
  if (in_memory_) {
    if (unflushed_bytes_ == 0) return;
    freed_bytes_ += std::exchange(unflushed_bytes_, 0);
    if (!failed(data_->flush())) flushed();
    return;
  }
  const bool much = unflushed_bytes_ >= kFlushAfterBytes;
  const bool long_ago = unflushed_bytes_ > 0 && now_ms_ - flushed_ms_ >= kFlushAfterMs;
  const bool now_is_good = unflushed_bytes_ >= kFlushQuietBytes && (quiet() || node_.disk_full);
  if (flushing_ || (!much && !long_ago && !now_is_good)) return;
  flushing_ = true;
  flushed_ms_ = now_ms_;
  freed_bytes_ += std::exchange(unflushed_bytes_, 0);
  background_.submit([data = data_.get(), self = caf::actor_cast<caf::actor>(ctrl())] {
    caf::anon_send(self, DataFlushed{data->flush()});
  });
}

void StoreActor::flushed() {
  if (!host_) return;
  if (freed_bytes_ >= kTrimAfterBytes) {
    freed_bytes_ = 0;
    background_.submit([] { malloc_trim(0); });  // what the log held would stay with the process
  }
  for (const store::ReplicaRecord& record : data_->replicas()) {
    const auto flushed = data_->flushed(record.range);
    const range::Range* range = host_->find(record.range);
    if (range != nullptr && range->id() == record.replica && flushed) {
      host_->flushed(record.range, *flushed);
    }
  }
}

bool StoreActor::is_worth_compacting() {
  if (erased_ >= kCompactAfterErased) return true;
  if (node_.disk_full) return erased_ > 0;
  if (!quiet() || erased_ < kCompactQuietErased) return false;
  std::uint64_t bytes = 0;
  for (const store::ReplicaRecord& record : data_->replicas()) {
    bytes += data_->approximate_bytes(record.extents);
  }
  return bytes <= kCompactRewrites * logged_bytes_;
}

/// Piece by piece, so that flushes have their turn: garbage is deleted, and when much has been
/// erased, the space is given back.
void StoreActor::maybe_tidy() {
  if (in_memory_ || tidying_) return;
  const bool garbage = quiet() && data_->counters().garbage_intervals > 0;
  if (to_compact_.empty() && now_ms_ >= compact_not_before_ms_ && is_worth_compacting()) {
    erased_ = 0;
    logged_bytes_ = 0;
    compact_ms_ = 0;
    compact_not_before_ms_ = now_ms_ + kQuietMs;
    for (const store::ReplicaRecord& record : data_->replicas()) {
      to_compact_.push_back({record.local_space, {}});
      for (const store::Extent& one : record.extents)
        to_compact_.push_back({one.space, one.interval});
    }
  }
  if (to_compact_.empty() && !garbage) return;
  tidying_ = true;
  tidied_ms_ = now_ms_;
  std::optional<store::Garbage> piece;
  if (!to_compact_.empty()) {
    piece = std::move(to_compact_.back());
    to_compact_.pop_back();
  }
  background_.submit([data = data_.get(), piece, self = caf::actor_cast<caf::actor>(ctrl())] {
    DataTidied done;
    if (piece) {
      done.status = data->compact(piece->space, piece->interval);
    } else {
      auto step = data->collect_garbage(kGarbageAtOnce);
      if (step) {
        done.worth = std::move(step->emptied);
      } else {
        done.status = step.error();
      }
    }
    caf::anon_send(self, std::move(done));
  });
}

void StoreActor::tidied(const DataTidied& done) {
  tidying_ = false;
  if (failed(done.status)) return;
  compact_ms_ += node_.clock.now_ms() - tidied_ms_;
  compact_not_before_ms_ = std::max(compact_not_before_ms_, now_ms_ + kCompactShare * compact_ms_);
  if (done.worth) to_compact_.push_back(*done.worth);
  maybe_tidy();
}

/// True when `status` is a failure: the data is poisoned from now on.
bool StoreActor::failed(const Status& status) {
  if (status) return false;
  if (host_) {
    ++node_.stores_failing;
    spdlog::error("store {}: its data cannot be written, it is reopened from the log: {}", name(),
                  status.error().message);
    flushed_ms_ = now_ms_;  // of the last try
  }
  host_.reset();
  asks_.clear();
  to_compact_.clear();
  if (std::exchange(lives_to_end_, 0) > 0) end_again_ = true;
  end_failed_ = false;
  for (const auto& [range, replica] : actors_) {
    send_exit(replica, caf::exit_reason::user_shutdown);
  }
  actors_.clear();
  replicas_.clear();
  return true;
}

void StoreActor::maybe_recover() {
  if (recovering_ || now_ms_ - flushed_ms_ < kReopenAfterMs) return;
  if (flushing_ || tidying_) return;  // its thread still uses the engine
  flushed_ms_ = now_ms_;
  if (const Status reopened = data_->reopen(); !reopened) {
    spdlog::error("store {}: {}", name(), reopened.error().message);
    return;
  }
  recovering_ = true;
  log_.read(static_cast<store::StoreNumber>(kind_), caf::actor_cast<caf::actor>(ctrl()));
}

void StoreActor::log_read(const LogRead& read) {
  recovering_ = false;
  if (!*read.found) {
    spdlog::error("store {}: {}", name(), read.found->error().message);
    return;
  }
  auto host = make_host(node_, kind_, std::move(**read.found), *data_);
  if (!host) {
    spdlog::critical("store {}: {}", name(), host.error().message);
    SKALD_ASSERT(host.ok());
  }
  host_ = std::move(*host);
  begin();
  --node_.stores_failing;
  spdlog::warn("store {}: reopened", name());
}

/// A clean stop leaves nothing to replay: what is flushed is cut off the log, by the round behind
/// this.
void StoreActor::stop() {
  if (host_ && !failed(data_->flush())) flushed();
  const auto who = caf::actor_cast<caf::actor>(current_sender());
  send(who, Stopped{name()});
}

}  // namespace skald::actors
