// The one place of config/ that touches the world: reads the file that `--config` names, and those
// that it names in turn.
#pragma once

#include <string>

#include "config/base/result.h"
#include "config/limits.h"
#include "config/load.h"

namespace skald::config {

/// Fails, naming the file and the system's reason, when it is missing, unreadable or too large.
Result<ConfigFile> read_config_file(const std::string& path,
                                    std::size_t max_bytes = kMaxConfigFileBytes);

}  // namespace skald::config
