// What a session weighs in memory, and how fast inserts are applied from bytes: numbers to look at,
// not a test.
#include <malloc.h>

#include <cstdio>
#include <ctime>
#include <string>
#include <vector>

#include "config/base/assert.h"
#include "mqtt/inbox/codec.h"
#include "mqtt/inbox/state_machine.h"

namespace skald::inbox {
namespace {

/// Of this process's time, as others may use the processor.
double seconds_since(std::clock_t start) {
  return static_cast<double>(std::clock() - start) / CLOCKS_PER_SEC;
}

Name name_of(std::uint64_t i) { return {"tenant", "client-" + std::to_string(1'000'000'000 + i)}; }

std::size_t allocated() { return mallinfo2().uordblks; }

void attach_all(StateMachine& machine, std::uint64_t n, std::uint32_t expiry_s,
                std::uint64_t& stamp_us) {
  for (std::uint64_t i = 0; i < n;) {
    Command command;
    for (int k = 0; k < 50 && i < n; ++k, ++i) {
      Attach one;
      one.name = name_of(i);
      one.owner = {.life = {NodeId{1}, LifeNumber{1}}, .session = i + 1};
      one.user = "user-" + std::to_string(i);
      one.expiry_s = expiry_s;
      one.quota.max_messages = 1'000'000'000;
      one.quota.max_bytes = 1ULL << 60;
      command.operations.emplace_back(std::move(one));
    }
    machine.apply({.stamp_us = ++stamp_us, .lane = {}}, command);
  }
}

void weigh(const char* what, std::uint32_t expiry_s) {
  constexpr std::uint64_t kSessions = 100'000;
  StateMachine machine;
  std::uint64_t stamp_us = 1'700'000'000'000'000;
  const std::size_t before = allocated();
  const auto start = std::clock();
  attach_all(machine, kSessions, expiry_s, stamp_us);
  const double took = seconds_since(start);
  std::printf("%s: %.0f bytes each, %.0f attaches/s\n", what,
              static_cast<double>(allocated() - before) / kSessions, kSessions / took);
}

Command inserts(std::uint64_t inboxes, std::size_t batch, std::size_t targets, bool once,
                std::uint64_t& made) {
  Command command;
  for (std::size_t i = 0; i < batch; ++i) {
    mqtt::PublicationInfo info;
    info.publisher = {{NodeId{77}, LifeNumber{1}}, 1 + made % inboxes};
    info.sequence = made;
    info.stamp_ms = 1'700'000'000'000;
    command.publications.push_back(mqtt::Publication::make(
        info, "tenant", "sensors/one/temperature", "", std::string(64, 'p')));
    Insert insert;
    insert.publication = static_cast<std::uint32_t>(i);
    insert.once = once;
    insert.done_below = made > 20 * inboxes ? made - 20 * inboxes : 0;
    for (std::size_t t = 0; t < targets; ++t) {
      insert.targets.push_back({.name = name_of((made + t) % inboxes),
                                .subscription_ids = {},
                                .shared_group = {},
                                .shared_filter = {}});
    }
    ++made;
    command.operations.emplace_back(std::move(insert));
  }
  return command;
}

/// Inserts, and finishes of what is in the queues, so that these stay short.
void insert_all(const char* what, std::size_t batch, std::size_t targets, bool once) {
  constexpr std::uint64_t kInboxes = 10'000;
  const std::uint64_t inserts_in_all = 1'000'000;
  StateMachine machine;
  std::uint64_t stamp_us = 1'700'000'000'000'000;
  attach_all(machine, kInboxes, 60, stamp_us);
  std::vector<std::string> commands;
  std::uint64_t made = 0;
  for (std::uint64_t n = 0; n < inserts_in_all; n += batch * targets) {
    commands.push_back(encode_command(inserts(kInboxes, batch, targets, once, made)));
  }
  std::size_t effects = 0;
  const auto begun = std::clock();
  std::size_t operations = 0;
  for (const std::string& bytes : commands) operations += decode_command(bytes)->operations.size();
  const double decoding = seconds_since(begun);
  const auto start = std::clock();
  for (const std::string& bytes : commands) {
    const auto command = decode_command(bytes);
    effects += machine.apply({.stamp_us = ++stamp_us, .lane = {}}, *command).effects.size();
  }
  const double took = seconds_since(start);
  SKALD_ASSERT(operations > 0);
  std::printf("%s: %.0f inserts/s, of the time %.0f %% decoding, %.0f bytes of memory a message\n",
              what, static_cast<double>(effects) / took, 100 * decoding / took,
              static_cast<double>(allocated()) / static_cast<double>(effects));
}

}  // namespace
}  // namespace skald::inbox

int main() {
  using namespace skald::inbox;
  weigh("transient sessions", 0);
  weigh("persistent sessions", 60);
  insert_all("one to one, 64 a command", 64, 1, false);
  insert_all("one to one, 64 a command, once", 64, 1, true);
  insert_all("one to one, 1 a command", 1, 1, false);
  insert_all("one to 100, 4 a command", 4, 100, false);
}
