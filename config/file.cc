#include "config/file.h"

#include <cerrno>
#include <cstdio>
#include <cstring>
#include <memory>

#include "config/limits.h"

namespace skald::config {

Result<ConfigFile> read_config_file(const std::string& path, std::size_t max_bytes) {
  const auto failed = [&path](int error) { return Error{path + ": " + std::strerror(error)}; };
  const std::unique_ptr<std::FILE, int (*)(std::FILE*)> file(std::fopen(path.c_str(), "rb"),
                                                             &std::fclose);
  if (!file) return failed(errno);
  ConfigFile read{path, {}};
  errno = 0;
  char piece[16 * 1024];
  while (const std::size_t size = std::fread(piece, 1, sizeof piece, file.get())) {
    read.text.append(piece, size);
    if (read.text.size() > max_bytes) {
      return Error{path + ": larger than " + std::to_string(max_bytes) + " bytes"};
    }
  }
  if (std::ferror(file.get()) != 0) return failed(errno);
  return read;
}

}  // namespace skald::config
