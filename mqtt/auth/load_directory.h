// From the options and the files that they name to a Directory.
//
// Pure: files come through `read`. Every problem is told, one a line, with its place; then there is
// no directory at all, and whoever reloads keeps the old one.
#pragma once

#include <cstdint>
#include <functional>
#include <string>

#include "config/base/result.h"
#include "config/options.h"
#include "mqtt/auth/directory.h"

namespace skald::auth {

using ReadFile = std::function<Result<std::string>(const std::string& path)>;

/// `seed` and `version`: of DirectorySource.
Result<DirectoryRef> load_directory(const config::Options& options, const ReadFile& read,
                                    std::uint64_t seed, std::uint64_t version);

}  // namespace skald::auth
