#include "kv/store/files.h"

#include <cerrno>
#include <cstring>

namespace skald::store {

Error io_error(const std::string& path, std::string_view action, std::int64_t code) {
  return Error{path + ": " + std::string(action) +
               " failed: " + std::strerror(static_cast<int>(-code))};
}

std::string directory_of(const std::string& path) {
  const std::size_t slash = path.rfind('/');
  if (slash == std::string::npos) return ".";
  return slash == 0 ? "/" : path.substr(0, slash);
}

std::int64_t read_fully(FileSystem& files, int file, std::uint64_t offset, std::span<char> into) {
  std::size_t have = 0;
  while (have < into.size()) {
    const std::int64_t n = files.read_at(file, offset + have, into.subspan(have));
    if (n == -EINTR) continue;
    if (n < 0) return n;
    if (n == 0) break;
    have += static_cast<std::size_t>(n);
  }
  return static_cast<std::int64_t>(have);
}

int write_fully(FileSystem& files, int file, std::string_view data) {
  while (!data.empty()) {
    const std::int64_t n = files.write(file, data);
    if (n == -EINTR) continue;
    if (n < 0) return static_cast<int>(n);
    data.remove_prefix(static_cast<std::size_t>(n));
  }
  return 0;
}

Result<std::string> read_file(FileSystem& files, const std::string& path) {
  const std::int64_t size = files.size(path);
  if (size < 0) return io_error(path, "open", size);
  const int file = files.open_read(path);
  if (file < 0) return io_error(path, "open", file);
  std::string content(static_cast<std::size_t>(size), '\0');
  const std::int64_t n = read_fully(files, file, 0, content);
  files.close(file);
  if (n < 0) return io_error(path, "read", n);
  content.resize(static_cast<std::size_t>(n));
  return content;
}

Status replace_file(FileSystem& files, const std::string& path, std::string_view content) {
  const std::string temporary = path + ".tmp";
  const int file = files.create(temporary);
  if (file < 0) return io_error(temporary, "create", file);
  int result = write_fully(files, file, content);
  if (result == 0) result = files.sync(file);
  files.close(file);
  if (result == 0) result = files.rename(temporary, path);
  if (result == 0) result = files.sync_directory(directory_of(path));
  if (result < 0) return io_error(path, "write", result);
  return {};
}

Status ensure_directory(FileSystem& files, const std::string& path) {
  const int made = files.make_directory(path);
  if (made < 0 && made != -EEXIST) return io_error(path, "create directory", made);
  // Also when it was there: the one who made it may have died before this.
  const int synced = files.sync_directory(directory_of(path));
  if (synced < 0) return io_error(path, "sync directory", synced);
  return {};
}

}  // namespace skald::store
