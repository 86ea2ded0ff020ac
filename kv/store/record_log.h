// Tells a torn tail from damage in LevelDB's record logs (its write-ahead log and its MANIFEST).
//
// LevelDB itself conflates them: without paranoid checks it silently drops what is damaged, with
// them it refuses a tail whose pages reached the disk out of order, and a damaged length in the
// last block reads as the end in both modes. Here the rule is exact, because each batch is synced
// before the next is written: what follows the last complete batch may be torn only if no later
// batch begins after it. A damaged *final* batch cannot be told from a torn one (design.md section
// 6).
//
// The format is LevelDB's: 32 KiB blocks of {masked crc32c, length, type, payload}.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>

#include "config/base/result.h"
#include "kv/store/file_system.h"

namespace skald::store {

struct RecordLogState {
  enum class Kind : std::uint8_t { kClean, kTorn, kDamaged };

  Kind kind = Kind::kClean;
  /// Where the last complete record before the tear or damage ends.
  std::uint64_t good_bytes = 0;
};

/// What a record log must hold for a record found behind damage to be believed: write-ahead logs
/// hold batches with rising sequence numbers, so that bytes of a torn payload that look like a
/// record (a client may have sent them) are not taken for one.
enum class RecordLogKind : std::uint8_t { kBatches, kManifest };

RecordLogState inspect_record_log(std::string_view content, RecordLogKind kind);

/// Inspects the newest write-ahead log and the current MANIFEST of a closed database, and cuts off
/// a torn tail, durably. Damage is an Error that names the file.
Status mend_record_logs(FileSystem& files, const std::string& database);

}  // namespace skald::store
