// The system calls under the storage engines, so that tests can put a failing disk under the real
// Env and the real LevelDB.
//
// Two implementations: PosixFileSystem here, FaultFileSystem (fault_file_system.h) in tests. Both
// promise no more than POSIX does: reads and writes may be short, data is durable after `sync`, a
// name (create, rename, remove, make_directory) after `sync_directory` of its directory. Everything
// that makes a store out of that is above: disk_env.h, files.h.
//
// Results are >= 0, or -errno. Thread-safe, except for calls on one file handle.
#pragma once

#include <cstdint>
#include <span>
#include <string>
#include <string_view>
#include <vector>

namespace skald::store {

class FileSystem {
 public:
  virtual ~FileSystem() = default;

  /// An existing file, for `read_at`.
  virtual int open_read(const std::string& path) = 0;
  /// A new empty file (an old one of that name is emptied), for `write`; mode 0600.
  virtual int create(const std::string& path) = 0;
  virtual void close(int file) = 0;

  /// Bytes read; fewer than asked does not mean the end, 0 does.
  virtual std::int64_t read_at(int file, std::uint64_t offset, std::span<char> into) = 0;
  /// Bytes appended, possibly fewer than given.
  virtual std::int64_t write(int file, std::string_view data) = 0;
  virtual int sync(int file) = 0;

  virtual int sync_directory(const std::string& path) = 0;
  /// Mode 0700; -EEXIST if something of that name is there.
  virtual int make_directory(const std::string& path) = 0;
  virtual int rename(const std::string& from, const std::string& to) = 0;
  virtual int remove(const std::string& path) = 0;
  virtual int remove_directory(const std::string& path) = 0;

  virtual bool exists(const std::string& path) = 0;
  virtual std::int64_t size(const std::string& path) = 0;
  /// Names without the directory, without "." and "..".
  virtual int list(const std::string& path, std::vector<std::string>& names) = 0;

  /// Takes the lock that no other holder, in this process or another, can have: a handle that
  /// `close` gives up, or -EWOULDBLOCK.
  virtual int lock(const std::string& path) = 0;
};

/// The real thing. Has no state.
class PosixFileSystem final : public FileSystem {
 public:
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
};

/// Bytes that may still be written under the directory; -errno if that cannot be known.
std::int64_t free_bytes(const std::string& path);

}  // namespace skald::store
