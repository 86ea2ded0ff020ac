#include "kv/store/disk_log_store.h"

#include <leveldb/db.h>
#include <leveldb/write_batch.h>

#include <algorithm>
#include <map>
#include <mutex>
#include <utility>

#include "kv/store/database.h"
#include "kv/store/last_synced.h"
#include "kv/store/log_codec.h"
#include "kv/store/log_commit.h"

namespace skald::store {
namespace {

using log_codec::BaseRecord;
using log_codec::Garbage;
using log_codec::Tag;

/// Above every entry of any replica.
constexpr std::uint64_t kNoIndex = ~std::uint64_t{0};

std::string_view view(const leveldb::Slice& s) { return {s.data(), s.size()}; }

class DiskLogStore final : public LogStore {
 public:
  DiskLogStore(FileSystem& files, DiskLogOptions options)
      : options_(std::move(options)),
        must_exist_(options_.must_exist),
        files_(files),
        synced_(files, options_.path + ".synced") {}

  Status append(const WriteSet& set) override {
    if (set.empty()) return status();
    return commit(set, options_.deletes_per_commit);
  }
  Status collect_garbage(std::uint64_t max_entries) override {
    if (Status s = status(); !s) return s;
    if (counters().garbage_entries == 0) return {};
    return commit({}, max_entries);
  }
  Status compact() override {
    const std::string first = log_codec::tag_prefix(Tag::kEntry);
    std::string last = first;
    ++last.back();
    return database_->compact(first, last);
  }
  Result<LogContents> recover() override;
  Result<std::vector<LogEntry>> entries(const ReplicaKey& who, std::uint64_t from, std::uint64_t to,
                                        std::uint64_t max_bytes) override;
  Status note_idle() override {
    if (Status s = status(); !s) return s;
    return note();
  }
  Status status() const override {
    return database_ == nullptr ? Status(Error{options_.path + ": not open"}) : database_->usable();
  }
  Status reopen() override;
  Size size() override {
    if (!status()) return {};
    const leveldb::Range all("", "\xff");
    Size size{.memory_bytes = database_->memory_bytes()};
    database_->db().GetApproximateSizes(&all, 1, &size.disk_bytes);
    return size;
  }
  LogCounters counters() const override {
    const std::lock_guard lock(mutex_);
    return counters_;
  }

 private:
  Status commit(const WriteSet& set, std::uint64_t deletes);
  Status note();
  Status load();
  Status load_sequence();
  Status load_last_index(leveldb::Iterator& at, const ReplicaKey& who, StoredLog& log);
  template <class Each>
  Status for_each(Tag tag, Each each);
  void hide_replaced(const CommitBuilder& builder);
  void publish(const CommitBuilder& builder);
  void count_garbage();
  Error broken(const std::string& what) {
    return database_->poison(Error{options_.path + ": damaged: " + what + ". " + kDamageChoices});
  }

  const DiskLogOptions options_;
  bool must_exist_;
  FileSystem& files_;
  LastSynced synced_;
  std::unique_ptr<Database> database_;
  std::uint64_t sequence_ = 0;

  mutable std::mutex mutex_;  // guards what follows, which readers share
  StoredLogs logs_;
  Graves graves_;
  LogCounters counters_;
};

Status DiskLogStore::reopen() {
  if (database_ == nullptr) {
    database_ = std::make_unique<Database>(
        files_, DatabaseOptions{.path = options_.path,
                                .must_exist = must_exist_,
                                .write_buffer_bytes = options_.write_buffer_bytes,
                                .block_bytes = 16 << 10,
                                .cache_bytes = 8 << 20,
                                .file_bytes_max = 32 << 20,
                                .open_files_max = 256,
                                .verify_tables = options_.verify_tables,
                                .hold_background = options_.hold_background});
  }
  if (Status s = database_->open(); !s) return s;
  if (Status s = load(); !s) return database_->poison(s.error());
  return {};
}

template <class Each>
Status DiskLogStore::for_each(Tag tag, Each each) {
  leveldb::ReadOptions read;
  read.verify_checksums = true;
  const std::unique_ptr<leveldb::Iterator> at(database_->db().NewIterator(read));
  const std::string prefix = log_codec::tag_prefix(tag);
  for (at->Seek(prefix); at->Valid() && at->key().starts_with(prefix); at->Next()) {
    if (Status s = each(view(at->key()), view(at->value())); !s) {
      return broken(s.error().message);
    }
  }
  if (!at->status().ok()) return database_->poison(database_->explain("read", at->status()));
  return {};
}

Status DiskLogStore::load_sequence() {
  sequence_ = 0;
  Status status = for_each(Tag::kSequence, [this](std::string_view, std::string_view value) {
    const Result<std::uint64_t> sequence = log_codec::decode_sequence(value);
    if (!sequence) return Status(sequence.error());
    sequence_ = *sequence;
    return Status();
  });
  if (!status) return status;
  std::uint64_t known = 0;
  if (must_exist_ || sequence_ > 0) {
    const Result<std::uint64_t> noted = synced_.read();
    if (!noted) return Error{noted.error().message + ". " + kDamageChoices};
    known = *noted;
  }
  if (sequence_ < known) {
    return broken("the log ends at group commit " + std::to_string(sequence_) + ", but " +
                  std::to_string(known) + " was synced and may have been acknowledged");
  }
  return synced_.start(sequence_);
}

Status DiskLogStore::load_last_index(leveldb::Iterator& at, const ReplicaKey& who, StoredLog& log) {
  log.log.last_index = log.log.base.index;
  at.Seek(log_codec::entry_key(who, kNoIndex));
  if (at.Valid()) {
    at.Prev();
  } else if (at.status().ok()) {
    at.SeekToLast();
  }
  if (!at.status().ok()) return database_->poison(database_->explain("read", at.status()));
  if (!at.Valid() || !at.key().starts_with(log_codec::replica_key(Tag::kEntry, who))) return {};
  const Result<std::uint64_t> index = log_codec::parse_index(view(at.key()));
  if (!index) return broken(index.error().message);
  log.log.last_index = std::max(log.log.last_index, *index);
  return {};
}

Status DiskLogStore::load() {
  if (Status s = load_sequence(); !s) return s;
  must_exist_ = true;
  StoredLogs logs;
  Graves graves;
  const auto on_base = [&logs](std::string_view key, std::string_view value) {
    const Result<ReplicaKey> who = log_codec::parse_replica_key(key);
    const Result<BaseRecord> base = log_codec::decode_base(value);
    if (!who) return Status(who.error());
    if (!base) return Status(base.error());
    StoredLog& log = logs[*who];
    log.log.base = base->base;
    log.deleted_to = base->deleted_to;
    return Status();
  };
  const auto on_hard_state = [&logs](std::string_view key, std::string_view value) {
    const Result<ReplicaKey> who = log_codec::parse_replica_key(key);
    const Result<HardState> state = log_codec::decode_hard_state(value);
    if (!who) return Status(who.error());
    if (!state) return Status(state.error());
    logs[*who].log.hard_state = *state;
    return Status();
  };
  const auto on_meta = [&logs](std::string_view key, std::string_view value) {
    const Result<ReplicaKey> who = log_codec::parse_replica_key(key);
    if (!who) return Status(who.error());
    logs[*who].log.meta = value;
    return Status();
  };
  const auto on_garbage = [&graves](std::string_view key, std::string_view value) {
    const Result<ReplicaKey> who = log_codec::parse_replica_key(key);
    const Result<std::uint64_t> start = log_codec::parse_index(key);
    const Result<Garbage> garbage = log_codec::decode_garbage(value);
    if (!who) return Status(who.error());
    if (!start) return Status(start.error());
    if (!garbage) return Status(garbage.error());
    graves[{*who, *start}] = *garbage;
    return Status();
  };
  if (Status s = for_each(Tag::kBase, on_base); !s) return s;
  if (Status s = for_each(Tag::kHardState, on_hard_state); !s) return s;
  if (Status s = for_each(Tag::kMeta, on_meta); !s) return s;
  if (Status s = for_each(Tag::kGarbage, on_garbage); !s) return s;
  leveldb::ReadOptions read;
  read.verify_checksums = true;
  const std::unique_ptr<leveldb::Iterator> at(database_->db().NewIterator(read));
  for (auto& [who, log] : logs) {
    if (Status s = load_last_index(*at, who, log); !s) return s;
  }
  const std::lock_guard lock(mutex_);
  logs_ = std::move(logs);
  graves_ = std::move(graves);
  count_garbage();
  return {};
}

Result<LogContents> DiskLogStore::recover() {
  if (Status s = status(); !s) return s.error();
  LogContents contents;
  {
    const std::lock_guard lock(mutex_);
    for (const auto& [who, log] : logs_) contents.replicas.emplace_back(who, log.log);
  }
  const Status read =
      for_each(Tag::kRecord, [&contents](std::string_view key, std::string_view value) {
        const auto store = static_cast<StoreNumber>(key[1]);
        contents.records.push_back({store, std::string(key.substr(2)), std::string(value)});
        return Status();
      });
  if (!read) return read.error();
  return contents;
}

Status DiskLogStore::commit(const WriteSet& set, std::uint64_t deletes) {
  if (Status s = status(); !s) return s;
  CommitBuilder builder(logs_, graves_);  // this thread alone changes them
  for (const ReplicaWrite& write : set.replicas) builder.add(write);
  for (const RecordWrite& write : set.records) builder.add(write);
  // Twice what comes in, so that garbage cannot pile up for ever.
  if (counters_.garbage_entries > 0) builder.delete_garbage(deletes + 2 * builder.entries());
  leveldb::WriteBatch& batch = builder.finish(sequence_ + 1);
  hide_replaced(builder);
  if (Status s = database_->write(batch, true); !s) return s;
  ++sequence_;
  {
    const std::lock_guard lock(mutex_);
    publish(builder);
    ++counters_.commits;
    counters_.entries += builder.entries();
    counters_.deleted_entries += builder.deleted();
    counters_.bytes += batch.ApproximateSize();
  }
  if (sequence_ - synced_.noted() >= options_.note_every) return note();
  return {};
}

Status DiskLogStore::note() {
  if (synced_.noted() == sequence_) return {};
  if (Status s = synced_.note(sequence_); !s) return database_->poison(s.error());
  return {};
}

/// Before the write: readers stop seeing what it replaces or deletes, so that one that takes its
/// view of the database in between does not find a gap.
void DiskLogStore::hide_replaced(const CommitBuilder& builder) {
  const std::lock_guard lock(mutex_);
  for (const auto& [who, changed] : builder.changed()) {
    const auto found = logs_.find(who);
    if (found == logs_.end()) continue;
    ReplicaLog& log = found->second.log;
    if (!changed.has_value()) {
      log.last_index = log.base.index;
      continue;
    }
    log.base = std::max(log.base, changed->log.base,
                        [](const LogBase& a, const LogBase& b) { return a.index < b.index; });
    log.last_index = std::max(log.base.index, std::min(log.last_index, changed->log.last_index));
  }
}

void DiskLogStore::publish(const CommitBuilder& builder) {
  std::uint64_t& count = counters_.garbage_entries;
  for (const auto& [who, changed] : builder.changed()) {
    const auto old = logs_.find(who);
    if (old != logs_.end()) count -= old->second.counted;
    if (changed.has_value()) {
      StoredLog& log = logs_[who] = *changed;
      log.counted = log.garbage().size();
      count += log.counted;
    } else {
      logs_.erase(who);
    }
  }
  for (const auto& [name, garbage] : builder.changed_graves()) {
    const auto old = graves_.find(name);
    if (old != graves_.end()) count -= old->second.size();
    count += garbage.size();
    if (garbage.empty()) {
      graves_.erase(name);
    } else {
      graves_[name] = garbage;
    }
  }
}

void DiskLogStore::count_garbage() {
  counters_.garbage_entries = 0;
  for (auto& [who, log] : logs_) {
    log.counted = log.garbage().size();
    counters_.garbage_entries += log.counted;
  }
  for (const auto& [name, garbage] : graves_) counters_.garbage_entries += garbage.size();
}

Result<std::vector<LogEntry>> DiskLogStore::entries(const ReplicaKey& who, std::uint64_t from,
                                                    std::uint64_t to, std::uint64_t max_bytes) {
  if (Status s = status(); !s) return s.error();
  std::vector<LogEntry> result;
  std::unique_ptr<leveldb::Iterator> at;
  {
    // The iterator sees the database as of now, which holds what `logs_` says now.
    const std::lock_guard lock(mutex_);
    const auto found = logs_.find(who);
    if (found == logs_.end() || from <= found->second.log.base.index) return result;
    to = std::min(to, found->second.log.last_index + 1);
    if (from >= to) return result;
    leveldb::ReadOptions read;
    read.verify_checksums = true;
    at.reset(database_->db().NewIterator(read));
  }
  std::uint64_t bytes = 0;
  std::uint64_t index = from;
  for (at->Seek(log_codec::entry_key(who, from)); index < to; at->Next(), ++index) {
    if (!at->Valid() || view(at->key()) != log_codec::entry_key(who, index)) break;
    bytes += at->value().size();
    if (!result.empty() && bytes > max_bytes) return result;
    Result<LogEntry> entry = log_codec::decode_entry(index, view(at->value()));
    if (!entry) return broken(entry.error().message);
    result.push_back(std::move(*entry));
  }
  if (!at->status().ok()) return database_->poison(database_->explain("read", at->status()));
  if (index < to) {
    return broken("entry " + std::to_string(index) + " of range " +
                  std::to_string(who.range.value) + " is missing");
  }
  return result;
}

}  // namespace

Result<std::unique_ptr<LogStore>> open_disk_log(FileSystem& files, DiskLogOptions options) {
  auto store = std::make_unique<DiskLogStore>(files, std::move(options));
  if (Status s = store->reopen(); !s) return s.error();
  return std::unique_ptr<LogStore>(std::move(store));
}

}  // namespace skald::store
