#include "kv/store/last_synced.h"

#include <algorithm>
#include <optional>
#include <utility>

#include "config/base/coding.h"
#include "kv/store/crc32c.h"
#include "kv/store/files.h"

namespace skald::store {
namespace {

constexpr std::size_t kRecord = 12;
constexpr std::size_t kLongest = 1024 * kRecord;

std::string encode(std::uint64_t sequence) {
  std::string out;
  put_be64(out, sequence);
  put_be32(out, crc32c(out));
  return out;
}

std::optional<std::uint64_t> decode(std::string_view record) {
  Reader r(record);
  const std::uint64_t sequence = r.be64();
  const std::uint32_t crc = r.be32();
  if (!r.done() || crc != crc32c(record.substr(0, 8))) return std::nullopt;
  return sequence;
}

}  // namespace

LastSynced::LastSynced(FileSystem& files, std::string path)
    : files_(files), path_(std::move(path)) {}

LastSynced::~LastSynced() { close(); }

void LastSynced::close() {
  if (file_ >= 0) files_.close(file_);
  file_ = -1;
}

Result<std::uint64_t> LastSynced::read() const {
  const Result<std::string> content = read_file(files_, path_);
  if (!content) return content.error();
  std::optional<std::uint64_t> highest;
  for (std::size_t at = 0; at < content->size(); at += kRecord) {
    const auto sequence = decode(std::string_view(*content).substr(at, kRecord));
    if (sequence.has_value()) highest = std::max(highest.value_or(0), *sequence);
  }
  if (!highest.has_value()) return Error{path_ + ": damaged: no valid record"};
  return *highest;
}

Status LastSynced::start(std::uint64_t sequence) {
  close();
  const std::string temporary = path_ + ".new";
  const int file = files_.create(temporary);
  if (file < 0) return io_error(temporary, "create", file);
  file_ = file;
  int result = write_fully(files_, file_, encode(sequence));
  if (result == 0) result = files_.sync(file_);
  if (result == 0) result = files_.rename(temporary, path_);
  if (result == 0) result = files_.sync_directory(directory_of(path_));
  if (result < 0) return io_error(path_, "write", result);
  bytes_ = kRecord;
  noted_ = sequence;
  return {};
}

Status LastSynced::note(std::uint64_t sequence) {
  if (bytes_ >= kLongest) return start(sequence);
  int result = write_fully(files_, file_, encode(sequence));
  if (result == 0) result = files_.sync(file_);
  if (result < 0) return io_error(path_, "write", result);
  bytes_ += kRecord;
  noted_ = sequence;
  return {};
}

}  // namespace skald::store
