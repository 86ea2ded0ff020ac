#include "kv/store/record_log.h"

#include <algorithm>
#include <charconv>
#include <optional>

#include "kv/store/crc32c.h"
#include "kv/store/files.h"

namespace skald::store {
namespace {

constexpr std::size_t kBlock = 32768;
constexpr std::size_t kHeader = 7;
constexpr std::size_t kBatchHeader = 12;
constexpr unsigned kFull = 1, kFirst = 2, kMiddle = 3, kLast = 4;
/// Far more writes than one torn batch can hold.
constexpr std::uint64_t kSequenceSlack = std::uint64_t{1} << 24;

std::uint64_t little_endian(std::string_view bytes) {
  std::uint64_t v = 0;
  for (std::size_t i = bytes.size(); i > 0; --i) {
    v = (v << 8) | static_cast<unsigned char>(bytes[i - 1]);
  }
  return v;
}

struct Fragment {
  unsigned type = 0;
  std::string_view payload;
  std::size_t end = 0;
};

/// The fragment at `at`, if one with a right checksum lies there, inside its block.
std::optional<Fragment> fragment_at(std::string_view log, std::size_t at) {
  const std::size_t block_end = std::min(log.size(), at - at % kBlock + kBlock);
  if (at + kHeader > block_end) return std::nullopt;
  const std::size_t length = little_endian(log.substr(at + 4, 2));
  const unsigned type = static_cast<unsigned char>(log[at + 6]);
  if (type < kFull || type > kLast || at + kHeader + length > block_end) return std::nullopt;
  const std::uint32_t crc = crc32c(log.substr(at + 6, 1 + length));
  const std::uint32_t masked = ((crc >> 15) | (crc << 17)) + 0xa282ead8U;
  if (masked != little_endian(log.substr(at, 4))) return std::nullopt;
  return Fragment{type, log.substr(at + kHeader, length), at + kHeader + length};
}

bool starts_record(const Fragment& f) { return f.type == kFull || f.type == kFirst; }

/// The sequence number behind the last write of a batch, of which `first` is the first fragment.
std::uint64_t next_sequence(std::string_view first) {
  if (first.size() < kBatchHeader) return 0;
  return little_endian(first.substr(0, 8)) + little_endian(first.substr(8, 4));
}

bool later_record_exists(std::string_view log, std::size_t from, RecordLogKind kind,
                         std::uint64_t sequence) {
  for (std::size_t at = from; at + kHeader <= log.size(); ++at) {
    const unsigned type = static_cast<unsigned char>(log[at + 6]);
    if (type != kFull && type != kFirst) continue;
    const std::optional<Fragment> found = fragment_at(log, at);
    if (!found.has_value()) continue;
    if (kind == RecordLogKind::kManifest) return true;
    if (found->payload.size() < kBatchHeader) continue;
    const std::uint64_t its = little_endian(found->payload.substr(0, 8));
    // Behind the first batch of a file nothing is known of the sequence numbers.
    if (sequence == 0 || (its >= sequence && its < sequence + kSequenceSlack)) return true;
  }
  return false;
}

std::uint64_t number_in(std::string_view name) {
  std::uint64_t n = 0;
  std::from_chars(name.data(), name.data() + name.size(), n);
  return n;
}

Status mend(FileSystem& files, const std::string& path, RecordLogKind kind) {
  const Result<std::string> content = read_file(files, path);
  if (!content) return content.error();
  const RecordLogState state = inspect_record_log(*content, kind);
  switch (state.kind) {
    case RecordLogState::Kind::kClean:
      return {};
    case RecordLogState::Kind::kTorn:
      return replace_file(files, path, std::string_view(*content).substr(0, state.good_bytes));
    case RecordLogState::Kind::kDamaged:
      break;
  }
  return Error{path + ": damaged after byte " + std::to_string(state.good_bytes) +
               ", in records that had been acknowledged (later ones are intact)"};
}

}  // namespace

RecordLogState inspect_record_log(std::string_view log, RecordLogKind kind) {
  using Kind = RecordLogState::Kind;
  std::size_t at = 0;
  std::size_t good = 0;
  std::uint64_t sequence = 0;
  std::uint64_t record_sequence = 0;
  bool in_record = false;
  while (at < log.size()) {
    const std::size_t left_in_block = kBlock - at % kBlock;
    if (left_in_block < kHeader) {
      at += left_in_block;
      continue;
    }
    const std::optional<Fragment> found = fragment_at(log, at);
    if (!found.has_value() || starts_record(*found) == in_record) {
      const bool later = later_record_exists(log, at, kind, sequence);
      return {.kind = later ? Kind::kDamaged : Kind::kTorn, .good_bytes = good};
    }
    if (starts_record(*found)) record_sequence = next_sequence(found->payload);
    in_record = found->type == kFirst || found->type == kMiddle;
    at = found->end;
    if (!in_record) {
      good = at;
      sequence = record_sequence;
    }
  }
  return {.kind = good < log.size() && in_record ? Kind::kTorn : Kind::kClean, .good_bytes = good};
}

Status mend_record_logs(FileSystem& files, const std::string& database) {
  std::vector<std::string> names;
  const int listed = files.list(database, names);
  if (listed < 0) return io_error(database, "list", listed);
  std::string newest;
  for (const std::string& name : names) {
    if (name.ends_with(".log") && number_in(name) >= number_in(newest)) newest = name;
  }
  if (!newest.empty()) {
    if (Status s = mend(files, database + "/" + newest, RecordLogKind::kBatches); !s) return s;
  }
  const std::string current = database + "/CURRENT";
  if (!files.exists(current)) return {};
  const Result<std::string> manifest = read_file(files, current);
  if (!manifest) return manifest.error();
  if (!manifest->ends_with('\n')) return Error{current + ": damaged: no line end"};
  const std::string path = database + "/" + manifest->substr(0, manifest->size() - 1);
  if (!files.exists(path)) return Error{path + ": missing (" + current + " names it)"};
  return mend(files, path, RecordLogKind::kManifest);
}

}  // namespace skald::store
