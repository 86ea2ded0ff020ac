#include "kv/raft/config.h"

#include <algorithm>
#include <cstdint>
#include <iterator>
#include <utility>

namespace skald::raft {
namespace {

using Ids = std::vector<ReplicaId>;

constexpr char kVersion = 1;

bool contains(const Ids& sorted, ReplicaId id) {
  return std::binary_search(sorted.begin(), sorted.end(), id);
}

bool strictly_sorted(const Ids& ids) {
  return std::adjacent_find(ids.begin(), ids.end(),
                            [](ReplicaId a, ReplicaId b) { return a >= b; }) == ids.end();
}

Ids union_of(const Ids& a, const Ids& b) {
  Ids all;
  all.reserve(a.size() + b.size());
  std::set_union(a.begin(), a.end(), b.begin(), b.end(), std::back_inserter(all));
  return all;
}

void sort_unique(Ids& ids) {
  std::sort(ids.begin(), ids.end());
  ids.erase(std::unique(ids.begin(), ids.end()), ids.end());
}

void put(std::string& out, std::uint64_t value, int bytes) {
  for (int i = 0; i < bytes; ++i) out.push_back(static_cast<char>((value >> (8 * i)) & 0xff));
}

void put(std::string& out, const Ids& ids) {
  put(out, ids.size(), 2);
  for (ReplicaId id : ids) put(out, id.value, 8);
}

/// Little-endian reader that remembers whether it ran past the end.
class Reader {
 public:
  explicit Reader(std::string_view bytes) : rest_(bytes) {}

  std::uint64_t number(std::size_t bytes) {
    if (rest_.size() < bytes) {
      ok_ = false;
      return 0;
    }
    std::uint64_t value = 0;
    for (std::size_t i = bytes; i > 0; --i) {
      value = (value << 8) | static_cast<unsigned char>(rest_[i - 1]);
    }
    rest_.remove_prefix(bytes);
    return value;
  }

  Ids ids() {
    const std::uint64_t count = number(2);
    Ids result;
    if (count > kMembersMax) ok_ = false;
    for (std::uint64_t i = 0; ok_ && i < count; ++i) result.push_back(ReplicaId{number(8)});
    if (!strictly_sorted(result) || (!result.empty() && !result.front())) ok_ = false;
    return result;
  }

  std::string_view rest() const { return rest_; }
  bool ok() const { return ok_; }

 private:
  std::string_view rest_;
  bool ok_ = true;
};

}  // namespace

bool Config::is_voter(ReplicaId id) const { return contains(voters, id) || contains(outgoing, id); }

bool Config::is_member(ReplicaId id) const { return is_voter(id) || contains(learners, id); }

std::vector<ReplicaId> Config::members() const { return union_of(all_voters(), learners); }

std::vector<ReplicaId> Config::all_voters() const { return union_of(voters, outgoing); }

Status validate(const ConfigChange& change) {
  if (change.voters.empty()) return Error{"a Raft group needs at least one voter"};
  if (!strictly_sorted(change.voters) || !strictly_sorted(change.learners)) {
    return Error{"voters and learners must be sorted and without duplicates"};
  }
  if (!change.voters.front() || (!change.learners.empty() && !change.learners.front())) {
    return Error{"replica id 0 is nobody"};
  }
  if (change.voters.size() + change.learners.size() > kMembersMax) {
    return Error{"too many members in one Raft group"};
  }
  for (ReplicaId id : change.learners) {
    if (contains(change.voters, id)) return Error{"a replica cannot be voter and learner"};
  }
  return {};
}

ConfigChange normalised(ConfigChange change) {
  sort_unique(change.voters);
  sort_unique(change.learners);
  return change;
}

Config first_step(const Config& current, const ConfigChange& change) {
  Config next{change.voters, {}, change.learners};
  if (change.voters != current.voters) next.outgoing = current.voters;
  return next;
}

Config without_outgoing(const Config& joint) { return Config{joint.voters, {}, joint.learners}; }

std::string encode(const ConfigEntry& entry) {
  std::string out(1, kVersion);
  put(out, entry.config.voters);
  put(out, entry.config.outgoing);
  put(out, entry.config.learners);
  return out + entry.context;
}

Result<ConfigEntry> decode_config_entry(std::string_view bytes) {
  Reader in(bytes);
  if (in.number(1) != kVersion) return Error{"configuration entry of an unknown version"};
  ConfigEntry entry;
  entry.config.voters = in.ids();
  entry.config.outgoing = in.ids();
  entry.config.learners = in.ids();
  if (!in.ok() || entry.config.voters.empty()) return Error{"configuration entry is malformed"};
  entry.context = std::string(in.rest());
  return entry;
}

}  // namespace skald::raft
