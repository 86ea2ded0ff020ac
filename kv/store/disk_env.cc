#include "kv/store/disk_env.h"

#include <leveldb/env.h>

#include <cerrno>
#include <chrono>
#include <condition_variable>
#include <cstring>
#include <deque>
#include <mutex>
#include <thread>
#include <utility>

#include "config/base/assert.h"
#include "kv/store/files.h"

namespace skald::store {
namespace {

using LStatus = leveldb::Status;

constexpr std::size_t kWriteBuffer = 64 * 1024;
/// A writer stalled on held background work must not wait for ever.
constexpr auto kLongestHold = std::chrono::milliseconds(50);

LStatus to_status(const std::string& path, std::int64_t code) {
  if (code >= 0) return LStatus::OK();
  const char* reason = std::strerror(static_cast<int>(-code));
  return code == -ENOENT ? LStatus::NotFound(path, reason) : LStatus::IOError(path, reason);
}

class SequentialDiskFile final : public leveldb::SequentialFile {
 public:
  SequentialDiskFile(FileSystem& files, int file, std::string path)
      : files_(files), file_(file), path_(std::move(path)) {}
  ~SequentialDiskFile() override { files_.close(file_); }

  LStatus Read(std::size_t n, leveldb::Slice* result, char* scratch) override {
    const std::int64_t got = read_fully(files_, file_, offset_, {scratch, n});
    if (got < 0) return to_status(path_, got);
    offset_ += static_cast<std::uint64_t>(got);
    *result = leveldb::Slice(scratch, static_cast<std::size_t>(got));
    return LStatus::OK();
  }
  LStatus Skip(std::uint64_t n) override {
    offset_ += n;
    return LStatus::OK();
  }

 private:
  FileSystem& files_;
  const int file_;
  const std::string path_;
  std::uint64_t offset_ = 0;
};

class RandomAccessDiskFile final : public leveldb::RandomAccessFile {
 public:
  RandomAccessDiskFile(FileSystem& files, int file, std::string path)
      : files_(files), file_(file), path_(std::move(path)) {}
  ~RandomAccessDiskFile() override { files_.close(file_); }

  LStatus Read(std::uint64_t offset, std::size_t n, leveldb::Slice* result,
               char* scratch) const override {
    const std::int64_t got = read_fully(files_, file_, offset, {scratch, n});
    if (got < 0) return to_status(path_, got);
    *result = leveldb::Slice(scratch, static_cast<std::size_t>(got));
    return LStatus::OK();
  }

 private:
  FileSystem& files_;
  const int file_;
  const std::string path_;
};

/// Invariant: after a failure nothing more is written and every call tells that failure.
class WritableDiskFile final : public leveldb::WritableFile {
 public:
  WritableDiskFile(FileSystem& files, int file, std::string path)
      : files_(files), file_(file), path_(std::move(path)) {}
  ~WritableDiskFile() override { close(); }

  LStatus Append(const leveldb::Slice& data) override {
    if (!status_.ok()) return status_;
    buffer_.append(data.data(), data.size());
    return buffer_.size() < kWriteBuffer ? status_ : Flush();
  }
  LStatus Flush() override {
    if (status_.ok() && !buffer_.empty()) {
      note(write_fully(files_, file_, buffer_));
      buffer_.clear();
    }
    return status_;
  }
  LStatus Sync() override {
    if (!Flush().ok()) return status_;
    if (!name_durable_) {
      note(files_.sync_directory(directory_of(path_)));
      name_durable_ = status_.ok();
    }
    if (status_.ok()) note(files_.sync(file_));
    return status_;
  }
  LStatus Close() override {
    const LStatus flushed = Flush();
    close();
    return flushed;
  }

 private:
  void note(int result) {
    if (result < 0) status_ = to_status(path_, result);
  }
  void close() {
    if (!open_) return;
    static_cast<void>(Flush());
    files_.close(file_);
    open_ = false;
  }

  FileSystem& files_;
  const int file_;
  const std::string path_;
  std::string buffer_;
  LStatus status_;
  bool name_durable_ = false;
  bool open_ = true;
};

class DiscardedFile final : public leveldb::WritableFile {
 public:
  LStatus Append(const leveldb::Slice&) override { return LStatus::OK(); }
  LStatus Flush() override { return LStatus::OK(); }
  LStatus Sync() override { return LStatus::OK(); }
  LStatus Close() override { return LStatus::OK(); }
};

class HeldLock final : public leveldb::FileLock {
 public:
  explicit HeldLock(int file) : file(file) {}
  const int file;
};

/// One thread, jobs in order. Held: jobs run only while released, or after kLongestHold.
class BackgroundThread {
 public:
  explicit BackgroundThread(bool held) : held_(held), thread_([this] { run(); }) {}
  ~BackgroundThread() {
    {
      const std::lock_guard lock(mutex_);
      stopping_ = true;
    }
    changed_.notify_all();
    thread_.join();
  }

  void schedule(void (*function)(void*), void* argument) {
    {
      const std::lock_guard lock(mutex_);
      jobs_.emplace_back(function, argument);
    }
    changed_.notify_all();
  }
  void release(int by) {
    {
      const std::lock_guard lock(mutex_);
      released_ += by;
    }
    changed_.notify_all();
  }
  /// No job begins while there are holds; the one that runs is not waited for.
  void hold(int by) {
    {
      const std::lock_guard lock(mutex_);
      holds_ += by;
    }
    changed_.notify_all();
  }
  void settle() {
    if (!held_) return;
    std::unique_lock lock(mutex_);
    ++released_;
    changed_.notify_all();
    changed_.wait(lock, [this] { return jobs_.empty() && !running_; });
    --released_;
  }

 private:
  void run() {
    std::unique_lock lock(mutex_);
    for (;;) {
      changed_.wait(lock, [this] { return stopping_ || !jobs_.empty(); });
      if (jobs_.empty()) return;
      changed_.wait(lock, [this] { return holds_ == 0; });
      if (held_) {
        changed_.wait_for(lock, kLongestHold, [this] { return stopping_ || released_ > 0; });
      }
      const auto [function, argument] = jobs_.front();
      jobs_.pop_front();
      running_ = true;
      lock.unlock();
      function(argument);
      lock.lock();
      running_ = false;
      changed_.notify_all();
    }
  }

  const bool held_;
  std::mutex mutex_;
  std::condition_variable changed_;
  std::deque<std::pair<void (*)(void*), void*>> jobs_;
  int released_ = 0;
  int holds_ = 0;
  bool running_ = false;
  bool stopping_ = false;
  std::thread thread_;
};

}  // namespace

/// Forwards only time and sleep to LevelDB's own Env.
class DiskEnv::Impl final : public leveldb::EnvWrapper {
 public:
  Impl(FileSystem& files, DiskEnvOptions options)
      : EnvWrapper(leveldb::Env::Default()),
        background(options.hold_background),
        files_(files),
        discard_logs_(options.discard_logs) {}

  LStatus NewSequentialFile(const std::string& path, leveldb::SequentialFile** result) override {
    *result = nullptr;
    const int file = files_.open_read(path);
    if (file >= 0) *result = new SequentialDiskFile(files_, file, path);
    return to_status(path, file);
  }
  LStatus NewRandomAccessFile(const std::string& path,
                              leveldb::RandomAccessFile** result) override {
    *result = nullptr;
    const int file = files_.open_read(path);
    if (file >= 0) *result = new RandomAccessDiskFile(files_, file, path);
    return to_status(path, file);
  }
  LStatus NewWritableFile(const std::string& path, leveldb::WritableFile** result) override {
    *result = nullptr;
    if (discard_logs_ && path.ends_with(".log")) {
      *result = new DiscardedFile;
      return LStatus::OK();
    }
    if (const LStatus broken = status(); !broken.ok()) return broken;
    const int file = files_.create(path);
    if (file >= 0) *result = new WritableDiskFile(files_, file, path);
    return to_status(path, file);
  }
  LStatus NewAppendableFile(const std::string& path, leveldb::WritableFile** result) override {
    *result = nullptr;  // reuse_logs is off: appending after a torn record loses it (#1287)
    return LStatus::NotSupported(path, "append");
  }
  bool FileExists(const std::string& path) override { return files_.exists(path); }
  LStatus GetChildren(const std::string& path, std::vector<std::string>* names) override {
    return to_status(path, files_.list(path, *names));
  }
  LStatus RemoveFile(const std::string& path) override {
    if (const LStatus broken = status(); !broken.ok()) return broken;
    return to_status(path, files_.remove(path));
  }
  LStatus CreateDir(const std::string& path) override {
    const int made = files_.make_directory(path);
    return to_status(path, made == -EEXIST ? 0 : made);
  }
  LStatus RemoveDir(const std::string& path) override {
    return to_status(path, files_.remove_directory(path));
  }
  LStatus GetFileSize(const std::string& path, std::uint64_t* size) override {
    const std::int64_t n = files_.size(path);
    *size = n < 0 ? 0 : static_cast<std::uint64_t>(n);
    return to_status(path, n);
  }
  LStatus RenameFile(const std::string& from, const std::string& to) override {
    if (const LStatus broken = status(); !broken.ok()) return broken;
    const int renamed = files_.rename(from, to);
    if (renamed < 0) return to_status(to, renamed);
    // LevelDB takes a failed rename of CURRENT for one that did not happen, and deletes the
    // MANIFEST that it now names. So this one is told to have worked, and nothing after it does.
    const int synced = files_.sync_directory(directory_of(to));
    const std::lock_guard lock(mutex_);
    if (synced < 0 && status_.ok()) status_ = to_status(to, synced);
    return LStatus::OK();
  }
  LStatus LockFile(const std::string& path, leveldb::FileLock** lock) override {
    *lock = nullptr;
    const int file = files_.lock(path);
    if (file >= 0) *lock = new HeldLock(file);
    if (file == -EWOULDBLOCK) {
      return LStatus::IOError(path, "is in use by another process or an earlier start of this one");
    }
    return to_status(path, file);
  }
  LStatus UnlockFile(leveldb::FileLock* lock) override {
    const std::unique_ptr<HeldLock> held(static_cast<HeldLock*>(lock));
    files_.close(held->file);
    return LStatus::OK();
  }
  void Schedule(void (*function)(void*), void* argument) override {
    background.schedule(function, argument);
  }
  LStatus NewLogger(const std::string& path, leveldb::Logger** result) override {
    *result = nullptr;
    return LStatus::NotSupported(path, "logger");
  }

  LStatus status() const {
    const std::lock_guard lock(mutex_);
    return status_;
  }

  BackgroundThread background;

 private:
  FileSystem& files_;
  const bool discard_logs_;
  mutable std::mutex mutex_;
  LStatus status_;  // once failed, no name changes any more
};

DiskEnv::DiskEnv(FileSystem& files, DiskEnvOptions options)
    : impl_(std::make_unique<Impl>(files, options)) {}
DiskEnv::~DiskEnv() = default;

leveldb::Env& DiskEnv::env() { return *impl_; }
Status DiskEnv::status() const {
  const LStatus status = impl_->status();
  return status.ok() ? Status() : Status(Error{status.ToString()});
}
void DiskEnv::settle() { impl_->background.settle(); }

DiskEnv::Hold::Hold(DiskEnv& env) : env_(env) { env_.impl_->background.hold(1); }
DiskEnv::Hold::~Hold() { env_.impl_->background.hold(-1); }

DiskEnv::Release::Release(DiskEnv& env) : env_(env) { env_.impl_->background.release(1); }
DiskEnv::Release::~Release() { env_.impl_->background.release(-1); }

}  // namespace skald::store
