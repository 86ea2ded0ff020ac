#include "kv/store/database.h"

#include <leveldb/cache.h>
#include <leveldb/db.h>
#include <leveldb/env.h>
#include <leveldb/filter_policy.h>
#include <leveldb/table.h>
#include <leveldb/write_batch.h>

#include <cstdlib>
#include <utility>
#include <vector>

#include "kv/store/disk_env.h"
#include "kv/store/files.h"
#include "kv/store/record_log.h"

namespace skald::store {

const char* const kDamageChoices =
    "Choices: put the file back from where it went, if it can be had unchanged; or move this data "
    "directory away and start with an empty one: where the ranges have other voters this node "
    "rejoins as a new replica and loses nothing; where it is the only voter, what it alone held is "
    "lost";

namespace {

/// LevelDB's own log says nothing that the statuses do not.
class NoLog final : public leveldb::Logger {
 public:
  void Logv(const char*, std::va_list) override {}
};

Error with_choices(const Error& error) { return Error{error.message + ". " + kDamageChoices}; }

/// Behind the keys of an interval when its end is made a key.
constexpr std::size_t kSpanBytes = 32;

leveldb::Status verify_table(leveldb::Env& env, const leveldb::Options& options,
                             const std::string& path) {
  std::uint64_t size = 0;
  leveldb::Status status = env.GetFileSize(path, &size);
  if (!status.ok()) return status;
  leveldb::RandomAccessFile* file = nullptr;
  status = env.NewRandomAccessFile(path, &file);
  if (!status.ok()) return status;
  const std::unique_ptr<leveldb::RandomAccessFile> owned_file(file);
  leveldb::Table* table = nullptr;
  status = leveldb::Table::Open(options, file, size, &table);
  if (!status.ok()) return status;
  const std::unique_ptr<leveldb::Table> owned_table(table);
  leveldb::ReadOptions read;
  read.verify_checksums = true;
  read.fill_cache = false;
  const std::unique_ptr<leveldb::Iterator> at(table->NewIterator(read));
  for (at->SeekToFirst(); at->Valid();) at->Next();
  return at->status();
}

}  // namespace

Database::Database(FileSystem& files, DatabaseOptions options)
    : files_(files),
      options_(std::move(options)),
      no_log_(std::make_unique<NoLog>()),
      filter_(options_.bloom_filter ? leveldb::NewBloomFilterPolicy(10) : nullptr),
      cache_(leveldb::NewLRUCache(options_.cache_bytes)),
      status_(Error{options_.path + ": not open"}) {}

Database::~Database() { close(); }

void Database::close() {
  if (db_ != nullptr) {
    const DiskEnv::Release release(*env_);
    db_.reset();
  }
  env_.reset();
}

Status Database::open() {
  if (pins_ > 0) {
    return Error{options_.path + ": cannot be reopened while " + std::to_string(pins_) +
                 " iterators or snapshots are open"};
  }
  close();
  const Status opened = open_clean();
  const std::lock_guard lock(mutex_);
  status_ = opened;
  return opened;
}

Status Database::open_clean() {
  const std::string current = options_.path + "/CURRENT";
  if (Status s = ensure_directory(files_, options_.path); !s) return s;
  if (files_.exists(current)) {
    if (Status s = mend_record_logs(files_, options_.path); !s) return with_choices(s.error());
  } else if (options_.must_exist) {
    return with_choices(Error{current + ": missing, in a data directory that has been in use"});
  }
  env_ = std::make_unique<DiskEnv>(files_,
                                   DiskEnvOptions{.discard_logs = options_.discard_logs,
                                                  .hold_background = options_.hold_background});
  leveldb::Options options;
  options.create_if_missing = true;
  options.paranoid_checks = true;
  options.env = &env_->env();
  options.info_log = no_log_.get();
  options.write_buffer_size = options_.write_buffer_bytes;
  options.max_open_files = options_.open_files_max;
  options.block_cache = cache_.get();
  options.block_size = options_.block_bytes;
  options.max_file_size = options_.file_bytes_max;
  options.compression = options_.compress ? leveldb::kSnappyCompression : leveldb::kNoCompression;
  options.reuse_logs = false;
  options.filter_policy = filter_.get();
  std::string damaged;
  {
    // A compaction that begins at once would have a table half written, which looks like damage.
    const DiskEnv::Hold hold(*env_);
    leveldb::DB* db = nullptr;
    const leveldb::Status status = leveldb::DB::Open(options, options_.path, &db);
    db_.reset(db);
    if (!status.ok()) return explain("open", status);
    if (options_.verify_tables && !verified_) damaged = damaged_tables();
  }
  settle();
  if (Status s = env_->status(); !s)
    return Error{options_.path + ": open failed: " + s.error().message};
  verified_ |= damaged.empty();
  if (damaged.empty()) return {};
  return with_choices(Error{options_.path + ": damaged tables: " + damaged});
}

std::string Database::damaged_tables() {
  leveldb::Options options;
  options.env = &env_->env();
  options.paranoid_checks = true;
  std::vector<std::string> names;
  files_.list(options_.path, names);
  std::string damaged;
  for (const std::string& name : names) {
    if (!name.ends_with(".ldb") && !name.ends_with(".sst")) continue;
    const leveldb::Status status = verify_table(env_->env(), options, options_.path + "/" + name);
    // Not found: a compaction has just replaced it.
    if (status.ok() || status.IsNotFound()) continue;
    if (!damaged.empty()) damaged += ", ";
    damaged += name + " (" + status.ToString() + ")";
  }
  return damaged;
}

Error Database::explain(std::string_view action, const leveldb::Status& status) {
  Error error{options_.path + ": " + std::string(action) + " failed: " + status.ToString()};
  if (!status.IsCorruption()) return error;
  const std::string damaged = damaged_tables();
  if (!damaged.empty()) error.message += "; damaged tables: " + damaged;
  return with_choices(error);
}

Status Database::usable() const {
  const std::lock_guard lock(mutex_);
  return status_;
}

Error Database::poison(Error reason) {
  const std::lock_guard lock(mutex_);
  if (status_.ok()) status_ = std::move(reason);
  return status_.error();
}

leveldb::DB& Database::db() { return *db_; }

std::uint64_t Database::memory_bytes() {
  std::string bytes;
  if (!usable() || !db_->GetProperty("leveldb.approximate-memory-usage", &bytes)) return 0;
  return std::strtoull(bytes.c_str(), nullptr, 10);
}

Status Database::write(leveldb::WriteBatch& batch, bool sync) {
  if (Status s = usable(); !s) return s;
  leveldb::WriteOptions options;
  options.sync = sync;
  const leveldb::Status status = db_->Write(options, &batch);
  if (!status.ok()) return poison(explain("write", status));
  settle();
  return {};
}

Status Database::probe() {
  if (Status s = env_->status(); !s) {
    return poison(Error{options_.path + ": write failed: " + s.error().message});
  }
  // A background failure is only told to writers; an empty batch changes nothing.
  leveldb::WriteBatch nothing;
  return write(nothing, false);
}

Status Database::flush() {
  if (Status s = usable(); !s) return s;
  {
    // CompactRange first flushes the memtable, whatever the interval; this one holds no key.
    const DiskEnv::Release release(*env_);
    const leveldb::Slice above_all("\xff\xff\xff\xff\xff\xff\xff\xff", 8);
    db_->CompactRange(&above_all, &above_all);
    settle();
  }
  return probe();
}

Status Database::span(std::string_view begin, std::string_view end) {
  std::string last(end);
  if (!last.empty() && last.back() == 0) {
    last.pop_back();
  } else {
    if (!last.empty()) --last.back();
    last.append(kSpanBytes, '\xff');
  }
  leveldb::WriteBatch batch;
  for (const std::string& key : {std::string(begin), last}) {
    std::string value;
    if (db_->Get({}, key, &value).IsNotFound()) batch.Delete(key);
  }
  return write(batch, !options_.discard_logs);
}

Status Database::compact(std::string_view begin, std::string_view end) {
  if (Status s = flush(); !s) return s;
  if (Status s = span(begin, end); !s) return s;
  {
    const DiskEnv::Release release(*env_);
    const leveldb::Slice first(begin.data(), begin.size());
    const leveldb::Slice last(end.data(), end.size());
    db_->CompactRange(&first, end.empty() ? nullptr : &last);
    settle();
  }
  return probe();
}

void Database::settle() {
  if (env_ != nullptr) env_->settle();
}

std::shared_ptr<void> Database::pin() {
  ++pins_;
  return {this, [](void* self) { --static_cast<Database*>(self)->pins_; }};
}

}  // namespace skald::store
