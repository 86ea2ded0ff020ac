// The monitor: asks every loop and store for its figures once a second, and shows them.
//
// One a node, pinned to a loop of its own without clients. From one complete round of answers come
// the metrics, the values of $SYS, the events about dropped messages and disks, and whether the
// node lives and is ready. A round begins when the one before it is complete, so a loop that stands
// still is owed one answer, not many; NodeState::answered_us tells since when.
#pragma once

#include <event2/event.h>

#include <map>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "actors/acceptor.h"
#include "actors/loop/pinned.h"
#include "actors/messages.h"
#include "actors/monitor/events.h"
#include "actors/monitor/figures.h"
#include "actors/monitor/http.h"
#include "actors/monitor/metrics_text.h"
#include "actors/monitor/sys_topics.h"
#include "actors/node_state.h"

namespace skald::actors {

class Monitor final : public Pinned {
 public:
  /// `http`: where to serve HTTP, if at all.
  Monitor(caf::actor_config& config, NodeState& node, std::optional<ListeningSocket> http);

  const char* name() const override { return "monitor"; }
  caf::behavior make_behavior() override;
  void on_exit() override { close(); }

 private:
  static void on_tick(evutil_socket_t fd, short what, void* self) noexcept;
  void tick();
  void close();
  void complete();
  void note_drops(const std::string& name, const TenantSummary& before, const TenantSummary& now);
  void note_disks();
  void publish_sys();
  HttpAnswer answer(std::string_view path);
  NodeFacts facts(bool ready) const;
  /// Why not, a line a reason; empty: it is.
  std::string not_ready() const;

  NodeState& node_;
  const std::uint64_t started_us_;
  const double started_s_;  // since 1970
  std::optional<ListeningSocket> socket_;
  std::unique_ptr<AdminHttp> http_;
  event* tick_event_ = nullptr;
  std::uint64_t round_ = 0;
  std::size_t awaited_ = 0;
  std::vector<LoopReport> loops_;
  std::vector<StoreReport> stores_;
  std::vector<bool> failing_;  // by store
  NodeSummary summary_;
  std::shared_ptr<const std::string> metrics_;  // as of metrics_round_
  std::uint64_t metrics_round_ = 0;
  bool metrics_ready_ = false;
  EventLog events_;
  struct Sys {
    SysTopics topics;
    std::map<std::string, std::string> told;  // what subscribers know, by topic
  };
  std::map<std::string, Sys, std::less<>> sys_;  // by tenant
  std::uint64_t sys_told_us_ = 0;                // 0: never
};

}  // namespace skald::actors
