#define BOOST_TEST_MODULE auth
#include "mqtt/auth/authority.h"

#include <boost/test/unit_test.hpp>
#include <optional>

namespace skald::auth {
namespace {

ConnectVerdict ask(AnonymousAuthority& authority, const Origin& origin,
                   const codec::Connect& connect = {}) {
  std::optional<ConnectVerdict> verdict;
  authority.on_connect(connect, origin, [&verdict](ConnectVerdict given) {
    BOOST_TEST(!verdict.has_value());  // exactly once
    verdict = std::move(given);
  });
  BOOST_REQUIRE(verdict.has_value());
  return *verdict;
}

const Origin kLoopback{.address = "127.0.0.1", .loopback = true};
const Origin kRemote{.address = "192.0.2.1", .loopback = false};

BOOST_AUTO_TEST_CASE(anonymous_clients_are_let_in_on_loopback_only) {
  AnonymousAuthority authority(false);
  BOOST_TEST((ask(authority, kLoopback).reason == codec::ReasonCode::success));
  const ConnectVerdict refused = ask(authority, kRemote);
  BOOST_TEST((refused.reason == codec::ReasonCode::not_authorized));
  BOOST_TEST(refused.identity == nullptr);
}

BOOST_AUTO_TEST_CASE(from_anywhere_when_the_operator_says_so) {
  AnonymousAuthority authority(true);
  BOOST_TEST((ask(authority, kRemote).reason == codec::ReasonCode::success));
}

BOOST_AUTO_TEST_CASE(a_user_name_does_not_choose_the_tenant) {
  AnonymousAuthority authority(false);
  codec::Connect connect;
  connect.user_name = "other/admin";
  connect.password = "x";
  const ConnectVerdict verdict = ask(authority, kLoopback, connect);
  BOOST_REQUIRE(verdict.identity != nullptr);
  BOOST_TEST(verdict.identity->tenant == "default");
  BOOST_TEST(verdict.identity->user.empty());
}

}  // namespace
}  // namespace skald::auth
