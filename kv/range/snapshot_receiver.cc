#include "kv/range/snapshot_receiver.h"

#include <utility>

#include "kv/range/guards.h"
#include "kv/range/snapshot_sender.h"

namespace skald::range {
namespace {

using Answer = SnapshotAck::Status;

SnapshotAck ack(const SnapshotChunk& chunk, Answer status, std::uint64_t next) {
  return {chunk.range, chunk.to, chunk.from, chunk.id, next, status};
}

}  // namespace

Status SnapshotReceivers::abandon(const Staging& staging) {
  if (Status s = data_.abandon_space(staging.space); !s.ok()) return s;
  return data_.abandon_space(staging.local_space);
}

/// Ids are the sender's: another sender may give out the same.
bool SnapshotReceivers::is_of(const Staging& staging, const SnapshotChunk& chunk) {
  return staging.id == chunk.id && staging.from == chunk.from && staging.to == chunk.to;
}

Result<SnapshotAck> SnapshotReceivers::begin(const SnapshotChunk& chunk, const StoreHost& host,
                                             std::uint64_t now_us) {
  auto head = decode_head(chunk.head);
  if (!head.ok() || head->second.id != chunk.range) return ack(chunk, Answer::kRefuse, 0);
  const Answer judged = host.judge_snapshot(head->second, chunk.to);
  if (judged != Answer::kNext) return ack(chunk, judged, 0);
  const auto old = staging_.find(chunk.range);
  if (old != staging_.end()) {
    if (is_of(old->second, chunk)) return ack(chunk, Answer::kNext, old->second.next);
    if (Status s = abandon(old->second); !s.ok()) return s.error();
    staging_.erase(old);
  }
  if (staging_.size() >= staged_max_) return ack(chunk, Answer::kLater, 0);
  Staging staging;
  staging.to = chunk.to;
  staging.from = chunk.from;
  staging.id = chunk.id;
  staging.meta = std::move(head->first);
  staging.descriptor = std::move(head->second);
  staging.space = data_.allocate_space();
  staging.local_space = data_.allocate_space();
  staging.heard_us = now_us;
  staging_[chunk.range] = std::move(staging);
  return ack(chunk, Answer::kNext, 1);
}

Result<SnapshotAck> SnapshotReceivers::on_chunk(const SnapshotChunk& chunk, StoreHost& host,
                                                std::uint64_t now_us) {
  const auto found = staging_.find(chunk.range);
  const bool known = found != staging_.end() && is_of(found->second, chunk);
  if (checksum(chunk) != chunk.checksum && SKALD_GUARD(Guard::kSnapshotChecked)) {
    ++damaged_;
    return ack(chunk, Answer::kNext, known ? found->second.next : 0);
  }
  if (chunk.number == 0) return begin(chunk, host, now_us);
  if (!known) return ack(chunk, Answer::kRefuse, 0);
  Staging& staging = found->second;
  staging.heard_us = now_us;
  if (chunk.number != staging.next) return ack(chunk, Answer::kNext, staging.next);
  const bool local = chunk.part == store::DataSnapshot::Part::kLocal;
  store::DataBatch batch;
  for (const store::KeyValue& item : chunk.items) {
    batch.put(local ? staging.local_space : staging.space, item.key, item.value);
  }
  if (Status s = data_.write(batch); !s.ok()) return s.error();
  ++staging.next;
  if (!chunk.last) return ack(chunk, Answer::kNext, staging.next);
  StagedSnapshot whole;
  whole.meta = std::move(staging.meta);
  const Boundary& boundary = staging.descriptor.boundary;
  whole.record = {chunk.range,
                  chunk.to,
                  staging.local_space,
                  {{{boundary.start, boundary.end}, staging.space}},
                  encode(staging.descriptor)};
  whole.descriptor = std::move(staging.descriptor);
  staging_.erase(found);
  host.snapshot_arrived(chunk.range, chunk.to, chunk.from, chunk.term, std::move(whole));
  return ack(chunk, Answer::kDone, chunk.number + 1);
}

Status SnapshotReceivers::drop_idle(std::uint64_t now_us) {
  for (auto at = staging_.begin(); at != staging_.end();) {
    if (now_us - at->second.heard_us < idle_us_) {
      ++at;
      continue;
    }
    if (Status s = abandon(at->second); !s.ok()) return s;
    at = staging_.erase(at);
  }
  return {};
}

}  // namespace skald::range
