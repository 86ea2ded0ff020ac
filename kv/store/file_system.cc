#include "kv/store/file_system.h"

#include <dirent.h>
#include <fcntl.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <sys/statvfs.h>
#include <unistd.h>

#include <cerrno>
#include <cstdio>

namespace skald::store {
namespace {

int or_errno(int result) { return result < 0 ? -errno : result; }

}  // namespace

int PosixFileSystem::open_read(const std::string& path) {
  return or_errno(::open(path.c_str(), O_RDONLY | O_CLOEXEC));
}

int PosixFileSystem::create(const std::string& path) {
  return or_errno(::open(path.c_str(), O_WRONLY | O_CREAT | O_TRUNC | O_APPEND | O_CLOEXEC, 0600));
}

void PosixFileSystem::close(int file) { ::close(file); }

std::int64_t PosixFileSystem::read_at(int file, std::uint64_t offset, std::span<char> into) {
  const ssize_t n = ::pread(file, into.data(), into.size(), static_cast<off_t>(offset));
  return n < 0 ? -errno : n;
}

std::int64_t PosixFileSystem::write(int file, std::string_view data) {
  const ssize_t n = ::write(file, data.data(), data.size());
  return n < 0 ? -errno : n;
}

int PosixFileSystem::sync(int file) { return or_errno(::fdatasync(file)); }

int PosixFileSystem::sync_directory(const std::string& path) {
  const int directory = ::open(path.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC);
  if (directory < 0) return -errno;
  const int result = or_errno(::fsync(directory));
  ::close(directory);
  return result;
}

int PosixFileSystem::make_directory(const std::string& path) {
  return or_errno(::mkdir(path.c_str(), 0700));
}

int PosixFileSystem::rename(const std::string& from, const std::string& to) {
  return or_errno(::rename(from.c_str(), to.c_str()));
}

int PosixFileSystem::remove(const std::string& path) { return or_errno(::unlink(path.c_str())); }

int PosixFileSystem::remove_directory(const std::string& path) {
  return or_errno(::rmdir(path.c_str()));
}

bool PosixFileSystem::exists(const std::string& path) { return ::access(path.c_str(), F_OK) == 0; }

std::int64_t PosixFileSystem::size(const std::string& path) {
  struct stat info {};
  if (::stat(path.c_str(), &info) < 0) return -errno;
  return info.st_size;
}

int PosixFileSystem::list(const std::string& path, std::vector<std::string>& names) {
  names.clear();
  DIR* directory = ::opendir(path.c_str());
  if (directory == nullptr) return -errno;
  errno = 0;
  while (const dirent* entry = ::readdir(directory)) {
    const std::string_view name = entry->d_name;
    if (name != "." && name != "..") names.emplace_back(name);
    errno = 0;
  }
  const int failure = errno;
  ::closedir(directory);
  return -failure;
}

int PosixFileSystem::lock(const std::string& path) {
  const int file = ::open(path.c_str(), O_RDWR | O_CREAT | O_CLOEXEC, 0600);
  if (file < 0) return -errno;
  // flock and not fcntl: it also conflicts with another open file of this same process.
  if (::flock(file, LOCK_EX | LOCK_NB) < 0) {
    const int failure = errno;
    ::close(file);
    return -failure;
  }
  return file;
}

std::int64_t free_bytes(const std::string& path) {
  struct statvfs info {};
  if (::statvfs(path.c_str(), &info) < 0) return -errno;
  return static_cast<std::int64_t>(info.f_bavail) * static_cast<std::int64_t>(info.f_frsize);
}

}  // namespace skald::store
