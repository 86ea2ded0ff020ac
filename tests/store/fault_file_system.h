// A file system in memory that loses what POSIX lets a crash lose, and fails on demand.
//
// Each file is a durable prefix and writes since its last sync; each directory a durable set of
// names and changes since its last sync. At a crash every file keeps, by its own draw: its durable
// part only, any longer prefix (torn at any byte), everything, or any subset of its unsynced 4 KiB
// pages (the others read as zeros); every directory keeps none, all, a prefix or any subset of its
// unsynced changes. A failed sync dooms what it should have written, even if a later one succeeds.
//
// Calls that change something are counted; a crash or failure can be put on the n-th. After a
// crash every call fails until `restart`. All draws come from the seed.
#pragma once

#include <map>
#include <memory>
#include <mutex>
#include <optional>
#include <set>

#include "config/base/random.h"
#include "kv/store/file_system.h"

namespace skald::store {

class FaultFileSystem final : public FileSystem {
 public:
  explicit FaultFileSystem(std::uint64_t seed);

  std::uint64_t calls() const { return calls_; }
  void crash_at(std::uint64_t call) { crash_at_ = call; }
  void fail_at(std::uint64_t call, int code) { fail_at_ = {call, code}; }
  /// Each changing call fails once in `n` with EIO or ENOSPC; 0: never.
  void fail_one_in(std::uint64_t n) { fail_one_in_ = n; }
  void short_reads(bool on) { short_reads_ = on; }
  void space(std::optional<std::uint64_t> bytes) { space_ = bytes; }
  bool crashed() const { return crashed_; }
  void crash_now() { crashed_ = true; }
  /// Power is back. Requires: nothing has a file open.
  void restart();

  // Damage.
  std::vector<std::string> paths() const;
  std::string content(const std::string& path) const;
  void set_content(const std::string& path, std::string content);
  void lose(const std::string& path);
  /// Requires: nothing has a file open in either.
  void copy_to(FaultFileSystem& other) const;

  int open_read(const std::string& path) override;
  int create(const std::string& path) override;
  void close(int file) override;
  std::int64_t read_at(int file, std::uint64_t offset, std::span<char> into) override;
  std::int64_t write(int file, std::string_view data) override;
  int sync(int file) override;
  int sync_directory(const std::string& path) override;
  int make_directory(const std::string& path) override;
  int rename(const std::string& from, const std::string& to) override;
  int remove(const std::string& path) override;
  int remove_directory(const std::string& path) override;
  bool exists(const std::string& path) override;
  std::int64_t size(const std::string& path) override;
  int list(const std::string& path, std::vector<std::string>& names) override;
  int lock(const std::string& path) override;

 private:
  struct Node {
    bool directory = false;
    std::string content;
    std::size_t durable = 0;               // bytes
    std::optional<std::size_t> doomed_at;  // from here on nothing will ever be durable
  };
  using NodePtr = std::shared_ptr<Node>;
  struct Change {
    std::string gone;  // name that goes, if any
    std::string name;  // name that comes, if any
    NodePtr node;
  };
  struct OpenFile {
    NodePtr node;
    std::string locked;  // the path, for a lock
  };

  /// 0: go on; else the call's result. Counts a changing call.
  int enter(bool changes);
  int open_handle(OpenFile file);
  void change(const std::string& directory, Change c);
  static void apply(std::map<std::string, NodePtr>& names, const Change& c);
  void settle_content(Node& node);
  std::uint64_t used() const;

  mutable std::mutex mutex_;
  Random random_;
  std::uint64_t calls_ = 0;
  std::uint64_t crash_at_ = 0;
  std::pair<std::uint64_t, int> fail_at_ = {0, 0};
  std::uint64_t fail_one_in_ = 0;
  bool short_reads_ = false;
  std::optional<std::uint64_t> space_;
  bool crashed_ = false;
  bool dying_ = false;  // this very call is the one that the crash falls into

  std::map<std::string, NodePtr> names_;
  std::map<std::string, NodePtr> durable_names_;
  std::map<std::string, std::vector<Change>> pending_;  // by directory
  std::map<int, OpenFile> open_;
  std::set<std::string> locks_;
  int next_handle_ = 3;
};

}  // namespace skald::store
