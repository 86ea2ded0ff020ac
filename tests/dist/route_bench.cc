// What a million routes weigh, how long they take to build, to take away and to match. Of each kind
// of receiver a million, by hand: not a test.
#include <malloc.h>

#include <chrono>
#include <cstdio>
#include <string>
#include <vector>

#include "mqtt/dist/keys.h"
#include "mqtt/dist/state_machine.h"

namespace skald::dist {
namespace {

constexpr std::size_t kRoutes = 1'000'000;
constexpr Life kLife{NodeId{1}, LifeNumber{1}};

double seconds() {
  using namespace std::chrono;
  return duration<double>(steady_clock::now().time_since_epoch()).count();
}

Route route_of(int kind, std::size_t i) {
  const std::string number = std::to_string(i);
  const std::string filter = "devices/" + number + "/state";
  const InboxReceiver inbox{"client-" + number, 1ULL << 60, codec::QoS::at_least_once};
  switch (kind) {
    case 0:
      return {"tenant", filter, NodeReceiver{kLife}};
    case 1:
      return {"tenant", filter, inbox};
    case 2:
      return {"tenant", "devices/all", inbox};
    default:
      return {"tenant", filter, GroupReceiver{"group", InboxMember{inbox, kLife, 1}}};
  }
}

void measure(const char* name, int kind) {
  std::vector<std::pair<std::string, std::string>> stored;
  for (std::size_t i = 0; i < kRoutes; ++i) {
    const Route route = route_of(kind, i);
    stored.emplace_back(route_key(route), route_value(route));
  }
  std::vector<range::Record> records;
  for (const auto& [key, value] : stored) records.push_back({key, value});
  StateMachine machine(1);
  machine.boundary_changed({});
  const auto before = mallinfo2().uordblks;
  const double begin = seconds();
  machine.rebuild_start();
  if (!machine.rebuild_chunk(records).ok()) std::abort();
  machine.rebuild_finish();
  const double built = seconds();
  const auto after = mallinfo2().uordblks;
  const RouteSnapshot snapshot = machine.snapshot();
  Matches matches;
  std::size_t found = 0;
  const double match_begin = seconds();
  for (std::size_t i = 0; i < 1000; ++i) {
    const std::string topic = "devices/" + std::to_string(i * 997 % kRoutes) + "/state";
    snapshot.match("tenant", topic, matches);
    found += matches.empty() ? 0 : 1;
  }
  const double matched = seconds();
  snapshot.match("tenant", "devices/all", matches);
  const double all = seconds();
  std::uint32_t commands = 0;
  double longest = 0;
  for (bool more = machine.table().has_routes(kLife); more; ++commands) {
    const double one = seconds();
    more = machine.apply({}, Command{EndLife{kLife}}).reply.more;
    longest = std::max(longest, seconds() - one);
  }
  std::printf("%-24s %5.0f bytes a route, rebuilt in %.2f s, match %.2f us (%zu), all %.1f ms",
              name, static_cast<double>(after - before) / kRoutes, built - begin,
              (matched - match_begin) * 1000, found, (all - matched) * 1000);
  if (commands > 0)
    std::printf(", swept by %u commands of %.0f ms at most", commands, longest * 1e3);
  std::printf("\n");
}

}  // namespace
}  // namespace skald::dist

int main() {
  skald::dist::measure("node, own filter", 0);
  skald::dist::measure("inbox, own filter", 1);
  skald::dist::measure("inbox, one filter", 2);
  skald::dist::measure("member online, own group", 3);
}
