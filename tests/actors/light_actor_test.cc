// The light actor: what CAF's handles, monitors and requests see of it.
#include "actors/loop/light_actor.h"

#include <boost/test/unit_test.hpp>
#include <caf/actor_system.hpp>
#include <caf/actor_system_config.hpp>
#include <caf/scoped_actor.hpp>
#include <chrono>
#include <future>

#include "actors/loop/pinned.h"

namespace skald::actors {
namespace {

constexpr auto kLong = std::chrono::seconds(30);

/// Ends when it is told so for the second time.
class Probe final : public LightActor {
 public:
  Probe(caf::actor_config& config, std::promise<void>* destroyed)
      : LightActor(config), destroyed_(destroyed) {}
  ~Probe() override {
    if (destroyed_ != nullptr) destroyed_->set_value();
  }

 private:
  void on_exit_message(const caf::exit_msg&) override {
    BOOST_CHECK(context() == &loop());
    if (++told_ == 2) cleanup(caf::exit_reason::user_shutdown, &loop());
  }

  std::promise<void>* destroyed_;
  int told_ = 0;
};

struct World {
  World() {
    loop.start();
    probe = spawn_probe(&destroyed);
  }
  ~World() { loop.stop(); }

  caf::actor spawn_probe(std::promise<void>* told_at_its_end) {
    return spawn_pinned<Probe, caf::hidden + caf::lazy_init>(loop, told_at_its_end);
  }

  /// Sends a request that it does not know; what became of it.
  caf::error ask() {
    caf::error outcome;
    self->request(probe, kLong, 1).receive([](int) {}, [&](caf::error& error) { outcome = error; });
    return outcome;
  }

  caf::actor_system_config config;
  caf::actor_system system{config};
  Loop loop{system, 0};
  caf::scoped_actor self{system};
  std::promise<void> destroyed;
  caf::actor probe;
};

BOOST_AUTO_TEST_SUITE(light_actor)

BOOST_FIXTURE_TEST_CASE(what_it_does_not_know_is_bounced, World) {
  BOOST_CHECK(ask() == caf::sec::unexpected_message);
  caf::anon_send(probe, 1);  // dropped
  BOOST_CHECK(ask() == caf::sec::unexpected_message);
}

BOOST_FIXTURE_TEST_CASE(it_is_told_to_end_and_ends_when_it_likes, World) {
  self->monitor(probe);
  caf::anon_send_exit(probe, caf::exit_reason::kill);
  BOOST_CHECK(ask() == caf::sec::unexpected_message);  // still there
  caf::anon_send_exit(probe, caf::exit_reason::kill);
  self->receive([&](const caf::down_msg& down) {
    BOOST_CHECK(down.source == probe.address());
    BOOST_CHECK(down.reason == caf::exit_reason::user_shutdown);
  });
  BOOST_CHECK(ask() == caf::sec::request_receiver_down);
}

BOOST_FIXTURE_TEST_CASE(it_dies_with_its_last_handle, World) {
  std::future<void> gone = destroyed.get_future();
  BOOST_CHECK(ask() == caf::sec::unexpected_message);
  caf::anon_send(probe, 1);  // what waits holds it, for as long as it waits
  probe = nullptr;
  BOOST_CHECK(gone.wait_for(kLong) == std::future_status::ready);
}

BOOST_FIXTURE_TEST_CASE(its_mailbox_is_bounded, World) {
  std::promise<void> go;
  const caf::actor other = spawn_probe(nullptr);
  // The loop is held up by a monitor's callback, so that nothing is taken from the mailbox.
  std::promise<void> held;
  other->attach_functor([&] {
    held.set_value();
    go.get_future().wait();
  });
  caf::anon_send_exit(other, caf::exit_reason::kill);
  caf::anon_send_exit(other, caf::exit_reason::kill);
  held.get_future().wait();
  for (std::size_t i = 0; i < LightActor::kMessagesMax; ++i) caf::anon_send(probe, 1);
  BOOST_CHECK(ask() == caf::sec::request_receiver_down);
  go.set_value();
  caf::error outcome = ask();
  while (outcome == caf::sec::request_receiver_down) outcome = ask();  // until it has caught up
  BOOST_CHECK(outcome == caf::sec::unexpected_message);
}

BOOST_AUTO_TEST_SUITE_END()

}  // namespace
}  // namespace skald::actors
