#include "kv/store/disk_engine.h"

#include <leveldb/db.h>
#include <leveldb/write_batch.h>

#include <utility>

#include "kv/store/database.h"

namespace skald::store {
namespace {

leveldb::Slice slice(std::string_view s) { return {s.data(), s.size()}; }
std::string_view view(const leveldb::Slice& s) { return {s.data(), s.size()}; }

leveldb::ReadOptions checked_read() {
  leveldb::ReadOptions read;
  read.verify_checksums = true;
  return read;
}

class DiskSnapshot final : public EngineSnapshot {
 public:
  explicit DiskSnapshot(Database& database)
      : pin_(database.pin()), database_(database), at(database.db().GetSnapshot()) {}
  ~DiskSnapshot() override { database_.db().ReleaseSnapshot(at); }

 private:
  const std::shared_ptr<void> pin_;
  Database& database_;

 public:
  const leveldb::Snapshot* const at;
};

class DiskCursor final : public EngineCursor {
 public:
  DiskCursor(Database& database, const leveldb::ReadOptions& read)
      : pin_(database.pin()), database_(database), at_(database.db().NewIterator(read)) {}

  void seek(std::string_view key) override { at_->Seek(slice(key)); }
  void next() override { at_->Next(); }
  bool valid() const override { return at_->Valid(); }
  std::string_view key() const override { return view(at_->key()); }
  std::string_view value() const override { return view(at_->value()); }
  Status status() const override {
    if (at_->status().ok()) return {};
    return database_.explain("read", at_->status());
  }

 private:
  const std::shared_ptr<void> pin_;
  Database& database_;
  const std::unique_ptr<leveldb::Iterator> at_;
};

class DiskEngine final : public Engine {
 public:
  DiskEngine(FileSystem& files, const DiskEngineOptions& options)
      : database_(files, {.path = options.path,
                          .must_exist = options.must_exist,
                          .discard_logs = true,
                          .write_buffer_bytes = options.write_buffer_bytes,
                          .block_bytes = 4 << 10,
                          .cache_bytes = options.cache_bytes,
                          .file_bytes_max = 16 << 20,
                          .open_files_max = 512,
                          .bloom_filter = true,
                          .compress = true,
                          .verify_tables = options.verify_tables,
                          .hold_background = options.hold_background}) {}

  Status apply(std::span<const EngineWrite> writes) override {
    leveldb::WriteBatch batch;
    for (const EngineWrite& write : writes) {
      if (write.value.has_value()) {
        batch.Put(write.key, *write.value);
      } else {
        batch.Delete(write.key);
      }
    }
    return database_.write(batch, false);
  }

  Result<std::optional<std::string>> get(std::string_view key) override {
    if (Status s = status(); !s) return s.error();
    std::string value;
    const leveldb::Status got = database_.db().Get(checked_read(), slice(key), &value);
    if (got.ok()) return std::optional(std::move(value));
    if (got.IsNotFound()) return std::optional<std::string>();
    return database_.explain("read", got);
  }

  std::shared_ptr<EngineSnapshot> snapshot() override {
    return std::make_shared<DiskSnapshot>(database_);
  }

  Result<std::unique_ptr<EngineCursor>> cursor(const EngineSnapshot* snapshot) override {
    if (Status s = status(); !s) return s.error();
    leveldb::ReadOptions read = checked_read();
    if (snapshot != nullptr) read.snapshot = static_cast<const DiskSnapshot*>(snapshot)->at;
    return std::unique_ptr<EngineCursor>(std::make_unique<DiskCursor>(database_, read));
  }

  Status flush() override { return database_.flush(); }
  Status compact(std::string_view begin, std::string_view end) override {
    return database_.compact(begin, end);
  }
  std::uint64_t approximate_bytes(std::string_view begin, std::string_view end) override {
    if (!status().ok()) return 0;
    const leveldb::Range range(slice(begin), slice(end));
    std::uint64_t bytes = 0;
    database_.db().GetApproximateSizes(&range, 1, &bytes);
    return bytes;
  }
  std::uint64_t memory_bytes() override { return database_.memory_bytes(); }
  Status status() const override { return database_.usable(); }
  Status reopen() override { return database_.open(); }

 private:
  Database database_;
};

}  // namespace

Result<std::unique_ptr<Engine>> open_disk_engine(FileSystem& files, const DiskEngineOptions& o) {
  auto engine = std::make_unique<DiskEngine>(files, o);
  if (Status s = engine->reopen(); !s) return s.error();
  return std::unique_ptr<Engine>(std::move(engine));
}

}  // namespace skald::store
