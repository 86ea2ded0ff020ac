#include "tests/sim/lease_world.h"

#include <memory>
#include <vector>

#include "config/base/random.h"
#include "kv/range/serve_lease.h"
#include "tests/sim/trace.h"

namespace skald::sim {
namespace {

constexpr Micros kRun = 30 * kSecond;

struct Clock {
  std::uint64_t offset = 0;
  std::uint64_t rate_per_mille = 1000;

  std::uint64_t at(Micros now) const { return offset + now * rate_per_mille / 1000; }
};

struct Served {
  Clock clock;
  range::LeaseHolder holder;
  raft::Index applied = 0;
};

/// One leadership. After `cut` no heartbeat round of its is acked any more; it does not know.
struct Leader {
  Clock clock;
  std::unique_ptr<range::LeaseGranter> granter;
  Micros elected = 0;
  Micros cut = ~Micros{0};
  Micros anchor = 0;  ///< send time of the last acked round

  void beat(Micros now) {
    if (now < cut) anchor = now;
  }
};

class LeaseWorld {
 public:
  explicit LeaseWorld(std::uint64_t seed) : random_(mix_seed(seed) ^ 0x1ea5e) {
    for (int i = 0; i < 3; ++i) replicas_.push_back({draw_clock(), {}, 0});
    elect();
  }

  Violation run() {
    while (violation_.none() && now_ < kRun) {
      now_ += random_.between(1, 20) * kMillisecond;
      while (scheduler_.step(now_)) check();
      step();
      check();
    }
    if (violation_.none() && (replied_ < 20 || matches_ < 100)) violation_ = {"liveness", ""};
    return violation_;
  }

 private:
  Clock draw_clock() { return {random_.below(kSecond), random_.between(990, 1010)}; }

  void elect() {
    leaders_.push_back({draw_clock(), nullptr, now_});
    Leader& leader = leaders_.back();
    leader.granter = std::make_unique<range::LeaseGranter>(leader.clock.at(now_), committed_);
    leader.anchor = now_;
  }

  void step() {
    Leader& leader = leaders_.back();
    leader.beat(now_);
    if (leader.cut == ~Micros{0} && random_.one_in(300)) leader.cut = now_;
    if (leader.cut < now_ && random_.one_in(5)) elect();
    if (random_.one_in(10) && leaders_.back().cut > now_) ++committed_;
    Served& replica = replicas_[random_.below(replicas_.size())];
    if (!random_.one_in(3) && replica.applied < committed_) {
      replica.applied = committed_;
      replica.holder.published(replica.applied);
    }
    if (random_.one_in(400)) {
      replica.holder.reset();
      replica.applied = 0;
    }
    report(random_.below(replicas_.size()));
    Leader& now_leads = leaders_.back();
    for (raft::Index index = replied_ + 1; index <= committed_ && now_leads.cut > now_; ++index) {
      if (!now_leads.granter->may_reply(index, now_leads.clock.at(now_))) break;
      replied_ = index;
    }
  }

  /// To any leader of late, also one that was deposed and does not know.
  void report(std::size_t who) {
    Served& replica = replicas_[who];
    const range::LeaseHolder::Report report = replica.holder.report(replica.clock.at(now_));
    const std::size_t back = random_.below(std::min<std::size_t>(leaders_.size(), 3));
    const std::size_t to = leaders_.size() - 1 - (random_.one_in(3) ? back : 0);
    scheduler_.at(now_ + random_.below(100 * kMillisecond), [this, who, to, report] {
      Leader& leader = leaders_[to];
      const Micros now = scheduler_.now();
      const std::uint64_t duration = leader.granter->on_report(
          ReplicaId{who + 1}, report, leader.clock.at(leader.anchor), leader.clock.at(now));
      if (duration == 0) return;
      scheduler_.at(now + random_.below(100 * kMillisecond), [this, who, report, duration] {
        replicas_[who].holder.granted(report.number, duration);
      });
    });
  }

  void check() {
    const Micros now = std::max(now_, scheduler_.now());
    for (const Served& replica : replicas_) {
      if (!replica.holder.may_serve(replica.clock.at(now))) continue;
      ++matches_;
      if (replica.holder.visible() < replied_) {
        violation_ = {"no stale match", "visible " + std::to_string(replica.holder.visible()) +
                                            ", replied " + std::to_string(replied_)};
      }
    }
  }

  Random random_;
  Scheduler scheduler_;
  Micros now_ = 0;
  std::vector<Served> replicas_;
  std::vector<Leader> leaders_;
  raft::Index committed_ = 0;
  raft::Index replied_ = 0;
  std::uint64_t matches_ = 0;
  Violation violation_;
};

}  // namespace

Violation run_leases(std::uint64_t seed) { return LeaseWorld(seed).run(); }

}  // namespace skald::sim
