// The memory twin of the log store, for simulation and tests: the same answers, no disk.
//
// An append is durable when it returns. A simulator that wants a commit to take time, or a crash to
// fall into it, calls `append` at the end of that time, or tosses a coin at the crash: the real one
// is atomic too. Failures are injected with `fail_next`.
#pragma once

#include <map>

#include "kv/store/log_store.h"

namespace skald::store {

class MemoryLogStore final : public LogStore {
 public:
  /// The next append fails with `reason` and poisons; `written` decides whether its work is there
  /// after `reopen`.
  void fail_next(Error reason, bool written);
  /// From now on `reopen` fails too (a full or dead disk); none makes it work again.
  void refuse_reopen(std::optional<Error> reason);
  /// Damage: the last `count` entries are gone, as if acked entries had been lost.
  void lose_tail(const ReplicaKey& who, std::uint64_t count);

  Status append(const WriteSet& set) override;
  Result<LogContents> recover() override;
  Result<std::vector<LogEntry>> entries(const ReplicaKey& who, std::uint64_t from, std::uint64_t to,
                                        std::uint64_t max_bytes) override;
  Status collect_garbage(std::uint64_t max_entries) override;
  Status compact() override { return status_; }
  Status note_idle() override;
  Status status() const override;
  Status reopen() override;
  LogCounters counters() const override;
  Size size() override;

 private:
  struct Log {
    ReplicaLog log;
    std::map<std::uint64_t, LogEntry> entries;
  };

  void apply(const WriteSet& set);

  std::map<ReplicaKey, Log> logs_;
  std::map<std::pair<StoreNumber, std::string>, std::string> records_;
  LogCounters counters_;
  Status status_;
  std::optional<std::pair<Error, bool>> fail_next_;
  std::optional<Error> refuse_reopen_;
};

}  // namespace skald::store
