#include "tests/store/log_workload.h"

#include <algorithm>

namespace skald::store {

Result<LogDump> dump(LogStore& log) {
  Result<LogContents> contents = log.recover();
  if (!contents) return contents.error();
  LogDump result{std::move(*contents), {}};
  for (const auto& [who, replica] : result.contents.replicas) {
    Result<std::vector<LogEntry>> entries =
        log.entries(who, replica.base.index + 1, replica.last_index + 1, ~std::uint64_t{0});
    if (!entries) return entries.error();
    result.entries.push_back(std::move(*entries));
  }
  return result;
}

std::string LogWorkload::data() {
  std::string bytes(random_.below(data_bytes_max_ + 1), '\0');
  for (char& c : bytes) c = static_cast<char>(random_.below(256));
  return bytes;
}

ReplicaWrite LogWorkload::replica_write(const ReplicaKey& who, const ReplicaLog& log) {
  ReplicaWrite write;
  write.who = who;
  if (random_.one_in(40) && log.last_index > 0) {
    write.remove = true;
    ++removed_[{who.store, who.range}];
    return write;
  }
  ReplicaLog now = log;
  if (random_.one_in(20)) {
    write.restart_at = LogBase{log.base.index + random_.below(2000), random_.below(9)};
    now = log_after(now, write);
  }
  std::uint64_t first = now.last_index + 1;
  if (random_.one_in(5)) first = random_.between(now.base.index + 1, now.last_index + 1);
  for (std::uint64_t i = random_.below(6); i > 0; --i) {
    write.entries.push_back(
        {first++, random_.below(9), static_cast<std::uint8_t>(random_.below(3)), data()});
  }
  now = log_after(log, write);
  if (random_.one_in(4)) {
    write.truncate_to = LogBase{random_.between(now.base.index, now.last_index), random_.below(9)};
  }
  if (random_.one_in(2)) {
    write.hard_state = HardState{random_.below(9), ReplicaId{random_.below(4)}, random_.below(99)};
  }
  if (random_.one_in(6)) write.meta = data();
  return write;
}

WriteSet LogWorkload::next(const LogContents& now) {
  WriteSet set;
  for (std::uint64_t n = random_.between(1, 4); n > 0; --n) {
    ReplicaKey who{.store = static_cast<StoreNumber>(random_.below(2)),
                   .range = RangeId{random_.between(1, 4)},
                   .replica = {}};
    who.replica.value = 1 + removed_[{who.store, who.range}];
    const auto same = [&who](const ReplicaWrite& w) { return w.who == who; };
    if (std::any_of(set.replicas.begin(), set.replicas.end(), same)) continue;
    const auto found = std::find_if(now.replicas.begin(), now.replicas.end(),
                                    [&who](const auto& item) { return item.first == who; });
    const ReplicaLog log = found == now.replicas.end() ? ReplicaLog{} : found->second;
    set.replicas.push_back(replica_write(who, log));
  }
  if (random_.one_in(4)) {
    RecordWrite record{static_cast<StoreNumber>(random_.below(2)), std::string(1, 'a'), {}};
    record.key[0] = static_cast<char>('a' + random_.below(4));
    if (!random_.one_in(3)) record.value = data();
    set.records.push_back(std::move(record));
  }
  return set;
}

}  // namespace skald::store
