// The check at a start that data and log of a replica fit together.
#pragma once

#include <optional>
#include <string>

#include "config/base/result.h"
#include "kv/store/data_types.h"
#include "kv/store/log_types.h"

namespace skald::store {

/// An Error, for the operator, if `data` is older than the log's base: what came before is in
/// neither, so flushed data has been lost. A replica without data (`data` is none) begins at 0.
/// With other voters the caller may destroy the replica and rejoin as a new one instead.
Status check_replayable(const ReplicaKey& who, const std::string& store_name, const ReplicaLog& log,
                        const std::optional<Applied>& data);

}  // namespace skald::store
