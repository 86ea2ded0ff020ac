#include "kv/range/snapshot_sender.h"

#include <algorithm>

#include "config/base/coding.h"
#include "kv/range/guards.h"
#include "kv/store/crc32c.h"

namespace skald::range {
namespace {

using Part = store::DataSnapshot::Part;
constexpr std::uint8_t kVersion = 1;

}  // namespace

std::uint32_t checksum(const SnapshotChunk& chunk) {
  std::string bytes;
  put_varint(bytes, chunk.range.value);
  put_varint(bytes, chunk.id);
  put_varint(bytes, chunk.number);
  put_u8(bytes, static_cast<std::uint8_t>(chunk.part));
  put_u8(bytes, chunk.last ? 1 : 0);
  put_bytes(bytes, chunk.head);
  for (const store::KeyValue& item : chunk.items) {
    put_bytes(bytes, item.key);
    put_bytes(bytes, item.value);
  }
  return store::crc32c(bytes);
}

std::string encode_head(const raft::SnapshotMeta& meta, const Descriptor& descriptor) {
  std::string out;
  put_u8(out, kVersion);
  put_varint(out, meta.index);
  put_varint(out, meta.term);
  put_bytes(out, encode(descriptor));
  return out;
}

Result<std::pair<raft::SnapshotMeta, Descriptor>> decode_head(std::string_view bytes) {
  Reader in(bytes);
  in.version(kVersion);
  raft::SnapshotMeta meta;
  meta.index = in.varint();
  meta.term = in.varint();
  const std::string_view rest = in.bytes();
  if (!in.done()) return Error{"snapshot head: cannot be read"};
  Result<Descriptor> descriptor = decode_descriptor(rest);
  if (!descriptor.ok()) return descriptor.error();
  meta.config = config_of(*descriptor);
  return std::pair(std::move(meta), std::move(*descriptor));
}

void SnapshotSenders::start(const HostReady::Snapshot& request, std::uint64_t now_us) {
  const std::pair key(request.range, request.request.to);
  const auto old = running_.find(key);
  if (old != running_.end()) running_.erase(old);  // Raft has given that one up
  Running running;
  running.request = request;
  if (running_.size() >= options_.concurrent_max) return finish(running, false);
  auto snapshot = data_.snapshot(request.range, (now_us + options_.give_up_us * 4) / 1000);
  if (!snapshot.ok() || *snapshot == nullptr || (*snapshot)->record().replica != request.from) {
    return finish(running, false);
  }
  running.snapshot = std::move(*snapshot);
  running.id = next_id_++;
  running.heard_us = now_us;
  running.positions.emplace_back();
  running_.emplace(key, std::move(running));
}

void SnapshotSenders::finish(const Running& running, bool ok) {
  const raft::Index index = running.snapshot ? running.snapshot->applied().index : 0;
  out_.finished.push_back({running.request.range, running.request.request.to, index, ok});
}

void SnapshotSenders::on_ack(const SnapshotAck& ack, std::uint64_t now_us) {
  const auto found = running_.find({ack.range, ack.from});
  if (found == running_.end() || found->second.id != ack.id) return;
  Running& running = found->second;
  if (ack.status == SnapshotAck::Status::kDone || ack.status == SnapshotAck::Status::kRefuse) {
    finish(running, ack.status == SnapshotAck::Status::kDone);
    running_.erase(found);
    return;
  }
  // For Raft any word will do: what gets no further is given up here.
  out_.progress.emplace_back(ack.range, ack.from);
  if (!SKALD_GUARD(Guard::kSnapshotMoves)) running.heard_us = now_us;
  if (ack.status == SnapshotAck::Status::kLater) {
    if (running.acked > 0) return;  // an old first chunk was asked about once more
    rewind(running);
    running.wait_until_us = now_us + options_.retry_us;
    return;
  }
  while (running.acked < ack.next && running.positions.size() > 1) {
    ++running.acked;
    running.positions.pop_front();
    running.heard_us = now_us;
  }
  running.next = std::max(running.next, running.acked);
}

/// From the last acked chunk again.
void SnapshotSenders::rewind(Running& running) {
  running.next = running.acked;
  running.positions.resize(1);
}

SnapshotSenders::Out SnapshotSenders::poll(std::uint64_t now_us) {
  const std::uint64_t most = std::max(options_.bytes_per_second / 10, options_.chunk_bytes);
  const std::uint64_t earned = (now_us - budget_us_) * (options_.bytes_per_second / 1000) / 1000;
  budget_ = std::min(most, budget_ + earned);
  budget_us_ = now_us;
  for (auto at = running_.begin(); at != running_.end();) {
    Running& running = at->second;
    if (now_us - running.heard_us > options_.give_up_us) {
      finish(running, false);
      at = running_.erase(at);
      continue;
    }
    if (running.next > running.acked && now_us - running.sent_us > options_.retry_us) {
      rewind(running);
    }
    bool ok = true;
    // Until the receiver has taken the first chunk, the others would be refused.
    const std::uint64_t window = running.acked == 0 ? 1 : options_.window;
    while (ok && budget_ > 0 && now_us >= running.wait_until_us &&
           running.next < running.acked + window && !running.positions.back().end) {
      ok = send_one(running, now_us);
    }
    if (ok) {
      ++at;
    } else {
      finish(running, false);
      at = running_.erase(at);
    }
  }
  return std::exchange(out_, {});
}

bool SnapshotSenders::send_one(Running& running, std::uint64_t now_us) {
  Position after;
  Result<SnapshotChunk> chunk = make(running, running.positions.back(), after);
  if (!chunk.ok()) return false;
  std::uint64_t bytes = chunk->head.size();
  for (const store::KeyValue& item : chunk->items) bytes += item.key.size() + item.value.size();
  budget_ -= std::min(budget_, bytes);
  chunk->checksum = checksum(*chunk);
  out_.chunks.emplace_back(running.request.to, std::move(*chunk));
  running.positions.push_back(std::move(after));
  ++running.next;
  running.sent_us = now_us;
  return true;
}

Result<SnapshotChunk> SnapshotSenders::make(Running& running, const Position& at, Position& after) {
  SnapshotChunk chunk;
  chunk.range = running.request.range;
  chunk.from = running.request.from;
  chunk.to = running.request.request.to;
  chunk.term = running.request.request.term;
  chunk.id = running.id;
  chunk.number = running.next;
  if (chunk.number == 0) {
    const store::DataSnapshot& snapshot = *running.snapshot;
    Result<Descriptor> descriptor = decode_descriptor(snapshot.record().config);
    if (!descriptor.ok()) return descriptor.error();
    const raft::SnapshotMeta meta{snapshot.applied().index, snapshot.applied().term, {}};
    chunk.head = encode_head(meta, *descriptor);
    after = at;
    return chunk;
  }
  Result<store::DataSnapshot::Chunk> read =
      running.snapshot->read(at.part, at.from, options_.chunk_bytes);
  if (!read.ok()) return read.error();
  chunk.part = at.part;
  chunk.items = std::move(read->items);
  if (read->next) {
    after = {at.part, *read->next, false};
  } else if (at.part == Part::kLocal) {
    after = {Part::kData, {}, false};
  } else {
    after = {Part::kData, {}, true};
    chunk.last = true;
  }
  return chunk;
}

}  // namespace skald::range
