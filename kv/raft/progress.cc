#include "kv/raft/progress.h"

#include <algorithm>

#include "config/base/assert.h"
#include "kv/raft/guards.h"

namespace skald::raft {

void Inflights::free_to(Index index) {
  while (!sent_.empty() && sent_.front().last <= index) {
    bytes_ -= sent_.front().bytes;
    sent_.pop_front();
  }
}

void Progress::become_probe(Index next_index) {
  flow = Flow::kProbe;
  next = std::max(match + 1, next_index);
  probe_sent = false;
  poke = false;
  inflights.clear();
}

void Progress::become_replicate() {
  flow = Flow::kReplicate;
  next = match + 1;
  probe_sent = false;
  poke = false;
  inflights.clear();
}

void Progress::become_snapshot() {
  flow = Flow::kSnapshot;
  snapshot_ticks = 0;
  probe_sent = false;
  poke = false;
  inflights.clear();
}

bool Progress::acked(Index index) {
  inflights.free_to(index);
  if (index <= match) return false;
  match = index;
  next = std::max(next, match + 1);
  return true;
}

bool Progress::rejected(Index rejected_index, Index hint) {
  if (flow == Flow::kSnapshot) return false;
  if (flow == Flow::kReplicate) {
    if (rejected_index <= match) return false;  // overtaken by an ack
    become_probe(std::min(rejected_index, hint + 1));
    return true;
  }
  if (next - 1 != rejected_index) return false;  // not the answer to the last probe
  next = std::max(match + 1, std::min(rejected_index, hint + 1));
  probe_sent = false;
  return true;
}

bool Progress::may_send(const Options& options) const {
  switch (flow) {
    case Flow::kProbe:
      return !probe_sent;
    case Flow::kReplicate:
      return !inflights.full(options) || !SKALD_GUARD(Guard::kInflightLimit);
    case Flow::kSnapshot:
      return false;
  }
  return false;
}

void Progress::sent(Index last, std::size_t bytes) {
  SKALD_ASSERT(flow != Flow::kSnapshot);
  if (flow == Flow::kProbe) {
    probe_sent = true;
    return;
  }
  if (last < next) return;  // empty
  next = last + 1;
  inflights.add(last, bytes);
}

}  // namespace skald::raft
