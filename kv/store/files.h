// Whole files on a FileSystem: complete reads, atomic replacement, errors in words.
#pragma once

#include <string>
#include <string_view>

#include "config/base/result.h"
#include "kv/store/file_system.h"

namespace skald::store {

/// "<path>: <action> failed: No space left on device". `code` is the -errno of a FileSystem call.
Error io_error(const std::string& path, std::string_view action, std::int64_t code);

/// The directory part of a path ("." if there is none).
std::string directory_of(const std::string& path);

/// Reads until `into` is full or the file ends (LevelDB #1285: one short read is not the end).
/// Bytes read, or -errno.
std::int64_t read_fully(FileSystem& files, int file, std::uint64_t offset, std::span<char> into);

/// Writes all of `data`: 0 or -errno.
int write_fully(FileSystem& files, int file, std::string_view data);

Result<std::string> read_file(FileSystem& files, const std::string& path);

/// The file holds either what it held or `content`, durably, whenever the power fails: written
/// beside it, synced, renamed, directory synced.
Status replace_file(FileSystem& files, const std::string& path, std::string_view content);

/// Makes one directory, durably, unless it is there.
Status ensure_directory(FileSystem& files, const std::string& path);

}  // namespace skald::store
