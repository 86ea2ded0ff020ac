// The data engine on LevelDB without a write-ahead log (engine.h holds the contract).
#pragma once

#include <memory>
#include <string>

#include "kv/store/engine.h"
#include "kv/store/file_system.h"

namespace skald::store {

struct DiskEngineOptions {
  std::string path;
  bool must_exist = false;
  std::size_t write_buffer_bytes = 32 << 20;
  std::size_t cache_bytes = 32 << 20;
  bool verify_tables = true;
  bool hold_background = false;
};

Result<std::unique_ptr<Engine>> open_disk_engine(FileSystem& files, const DiskEngineOptions& o);

}  // namespace skald::store
