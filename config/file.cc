#include "config/file.h"

#include <cerrno>
#include <cstdio>
#include <cstring>
#include <memory>

#include "config/limits.h"

namespace skald::config {

Result<ConfigFile> read_config_file(const std::string& path) {
  const auto failed = [&path](int error) { return Error{path + ": " + std::strerror(error)}; };
  const std::unique_ptr<std::FILE, int (*)(std::FILE*)> file(std::fopen(path.c_str(), "rb"),
                                                             &std::fclose);
  if (!file) return failed(errno);
  ConfigFile read{path, std::string(kMaxConfigFileBytes + 1, '\0')};
  errno = 0;
  read.text.resize(std::fread(read.text.data(), 1, read.text.size(), file.get()));
  if (std::ferror(file.get()) != 0) return failed(errno);
  if (read.text.size() > kMaxConfigFileBytes) {
    return Error{path + ": larger than " + std::to_string(kMaxConfigFileBytes) + " bytes"};
  }
  return read;
}

}  // namespace skald::config
