// The linearizability checker: histories made by hand, and random ones against a checker that tries
// every order.
#define BOOST_TEST_MODULE checker
#include "tests/checker/linearizable.h"

#include <algorithm>
#include <boost/test/unit_test.hpp>
#include <deque>
#include <numeric>
#include <vector>

#include "config/base/random.h"

namespace skald::checker {
namespace {

constexpr std::uint64_t kSteps = 1'000'000;

Operation read(std::uint64_t invoke, std::uint64_t end, std::uint64_t value) {
  return {invoke, end, Action::kRead, value, 0, true};
}
Operation write(std::uint64_t invoke, std::uint64_t end, std::uint64_t value) {
  return {invoke, end, Action::kWrite, value, 0, true};
}
Operation maybe_write(std::uint64_t invoke, std::uint64_t value) {
  return {invoke, kNoEnd, Action::kWrite, value, 0, true};
}
Operation cas(std::uint64_t invoke, std::uint64_t end, std::uint64_t expected,
              std::uint64_t value) {
  return {invoke, end, Action::kCas, value, expected, true};
}
Operation cas_failed(std::uint64_t invoke, std::uint64_t end, std::uint64_t expected,
                     std::uint64_t value) {
  return {invoke, end, Action::kCas, value, expected, false};
}
Operation maybe_cas(std::uint64_t invoke, std::uint64_t expected, std::uint64_t value) {
  return {invoke, kNoEnd, Action::kCas, value, expected, true};
}

struct Case {
  const char* name;
  std::vector<Operation> operations;
};

// The register starts as 0; a clear is a write of 0.
const std::vector<Case>& bad_cases() {
  static const std::vector<Case> cases = {
      {"stale read", {write(0, 1, 1), write(2, 3, 2), read(4, 5, 1)}},
      {"read of the start after a write", {write(0, 1, 1), read(2, 3, 0)}},
      {"read of what was never written", {write(0, 1, 1), read(2, 3, 7)}},
      {"read from the future", {read(0, 1, 1), write(2, 3, 1)}},
      {"lost update", {write(0, 1, 1), write(2, 3, 2), read(4, 5, 2), read(6, 7, 1)}},
      {"ghost after a clear", {write(0, 1, 1), write(2, 3, 0), read(4, 5, 1)}},
      {"cleared too early", {write(0, 1, 1), read(2, 3, 0), write(4, 5, 0)}},
      {"new then old under a concurrent write", {write(0, 10, 1), read(1, 2, 1), read(3, 4, 0)}},
      {"two readers disagree on the order",
       {write(0, 10, 1), write(0, 10, 2), read(11, 12, 1), read(13, 14, 2)}},
      {"concurrent writes seen in both orders",
       {write(0, 20, 1), write(0, 20, 2), read(1, 2, 1), read(3, 4, 2), read(5, 6, 1)}},
      {"split brain: each side reads its own",
       {write(0, 1, 1), write(2, 3, 2), read(4, 5, 2), read(6, 7, 1), read(8, 9, 2)}},
      {"an unknown write undone", {maybe_write(0, 1), read(1, 2, 1), read(3, 4, 0)}},
      {"an unknown write before its invoke", {read(0, 1, 1), maybe_write(2, 1)}},
      {"an unknown write twice",
       {maybe_write(0, 1), read(1, 2, 1), write(3, 4, 2), read(5, 6, 2), read(7, 8, 1),
        read(9, 10, 2)}},
      {"one unknown write explains one change only",
       {maybe_write(0, 1), read(1, 2, 1), write(3, 4, 0), read(5, 6, 0), read(7, 8, 1)}},
      {"two CAS from one value", {cas(0, 1, 0, 1), cas(2, 3, 0, 2)}},
      {"two concurrent CAS from one value", {cas(0, 5, 0, 1), cas(0, 5, 0, 2)}},
      {"two owners of one fencing token",
       {write(0, 1, 1), cas(2, 9, 1, 2), cas(3, 8, 1, 3), read(10, 11, 3)}},
      {"CAS that failed though it fitted", {write(0, 1, 1), cas_failed(2, 3, 1, 2)}},
      {"CAS that failed and still wrote", {cas_failed(0, 1, 5, 2), read(2, 3, 2)}},
      {"CAS from what was never there", {write(0, 1, 1), cas(2, 3, 9, 2)}},
      {"an unknown CAS from a value that is gone",
       {write(0, 1, 1), write(2, 3, 2), maybe_cas(4, 1, 3), read(5, 6, 3)}},
      {"CAS undone by a restart", {cas(0, 1, 0, 1), read(2, 3, 1), cas(4, 5, 0, 2)}},
      {"a write between a CAS and its read", {cas(0, 1, 0, 1), write(2, 3, 4), read(4, 5, 1)}},
  };
  return cases;
}

const std::vector<Case>& good_cases() {
  static const std::vector<Case> cases = {
      {"nothing", {}},
      {"old or new while a write runs", {write(0, 10, 1), read(1, 2, 0), read(3, 4, 1)}},
      {"an unknown write that never was", {maybe_write(0, 1), read(1, 2, 0), read(9, 10, 0)}},
      {"an unknown write that comes late",
       {maybe_write(0, 1), read(1, 2, 0), write(3, 4, 2), read(5, 6, 2), read(7, 8, 1)}},
      {"two unknown clears around a write",
       {write(0, 1, 1), maybe_write(2, 0), maybe_write(2, 0), read(3, 4, 0), write(5, 6, 2),
        read(7, 8, 2), read(9, 10, 0)}},
      {"writes in the order of the reads",
       {write(0, 20, 1), write(0, 20, 2), read(1, 2, 2), read(3, 4, 1)}},
      {"touching times count as concurrent", {write(0, 5, 1), read(5, 6, 0)}},
      {"a chain of CAS", {cas(0, 1, 0, 1), cas(2, 9, 1, 2), cas(3, 8, 2, 3), read(10, 11, 3)}},
      {"a CAS that failed since another came first",
       {cas(0, 9, 0, 1), cas_failed(1, 8, 0, 2), read(10, 11, 1)}},
      {"an unknown CAS explains a failed one",
       {maybe_cas(0, 0, 1), cas_failed(1, 2, 0, 2), read(3, 4, 1)}},
      {"an unseen unknown write explains a failed CAS",
       {maybe_write(0, 7), cas_failed(1, 2, 0, 2), write(3, 4, 3), read(5, 6, 3)}},
  };
  return cases;
}

BOOST_AUTO_TEST_CASE(bad_histories) {
  BOOST_CHECK_GE(bad_cases().size(), 20U);
  for (const Case& c : bad_cases()) {
    const Verdict v = check_register(c.operations, 0, kSteps);
    BOOST_CHECK_MESSAGE(v.answer == Linearizable::kNo, c.name);
    BOOST_CHECK_LT(v.stuck, c.operations.size());
  }
}

BOOST_AUTO_TEST_CASE(good_histories) {
  for (const Case& c : good_cases()) {
    BOOST_CHECK_MESSAGE(check_register(c.operations, 0, kSteps).answer == Linearizable::kYes,
                        c.name);
  }
}

/// Every order of every subset that leaves out only unknown operations.
bool brute_force(const std::vector<Operation>& all) {
  const auto n = static_cast<unsigned>(all.size());
  for (unsigned subset = 0; subset < (1U << n); ++subset) {
    std::vector<unsigned> order;
    bool complete = true;
    for (unsigned i = 0; i < n; ++i) {
      if ((subset >> i & 1) != 0) order.push_back(i);
      if ((subset >> i & 1) == 0 && all[i].end != kNoEnd) complete = false;
    }
    if (!complete) continue;
    do {
      bool fits = true;
      std::uint64_t state = 0;
      for (std::size_t i = 0; i < order.size() && fits; ++i) {
        const Operation& o = all[order[i]];
        for (std::size_t j = i + 1; j < order.size(); ++j) {
          fits = fits && !(all[order[j]].end < o.invoke);
        }
        if (o.action == Action::kRead) {
          fits = fits && state == o.value;
        } else if (o.action == Action::kCas && o.end != kNoEnd && !o.succeeded) {
          fits = fits && state != o.expected;
        } else {
          if (o.action == Action::kCas) fits = fits && state == o.expected;
          state = o.value;
        }
      }
      if (fits) return true;
    } while (std::next_permutation(order.begin(), order.end()));
  }
  return false;
}

std::vector<Operation> random_history(Random& random) {
  std::vector<Operation> all;
  const std::uint64_t n = random.between(1, 6);
  const std::uint64_t span = random.between(3, 16);
  const std::uint64_t values = random.between(2, 4);
  for (std::uint64_t i = 0; i < n; ++i) {
    Operation o;
    o.invoke = random.below(span);
    o.end = o.invoke + random.below(span);
    o.action =
        random.one_in(2) ? Action::kRead : (random.one_in(3) ? Action::kCas : Action::kWrite);
    o.value = random.below(values);
    o.expected = random.below(values);
    o.succeeded = !random.one_in(3);
    if (o.action != Action::kRead && random.one_in(4)) o.end = kNoEnd;
    all.push_back(o);
  }
  return all;
}

BOOST_AUTO_TEST_CASE(random_histories_against_every_order) {
  Random random(20261123);
  int good = 0;
  int bad = 0;
  for (int i = 0; i < 20000; ++i) {
    const std::vector<Operation> all = random_history(random);
    const bool expected = brute_force(all);
    const Verdict v = check_register(all, 0, kSteps);
    BOOST_REQUIRE_MESSAGE((v.answer == Linearizable::kYes) == expected,
                          "history " << i << " of " << all.size());
    ++(expected ? good : bad);
  }
  BOOST_CHECK_GT(good, 4000);
  BOOST_CHECK_GT(bad, 4000);
}

/// What `clients` would see of one register that works: each takes effect somewhere in between.
std::vector<Operation> working_register(Random& random, std::size_t n, std::size_t clients,
                                        std::uint64_t unknown_one_in) {
  std::vector<Operation> all;
  std::vector<std::uint64_t> free_at(clients, 0);
  std::uint64_t state = 0;
  std::uint64_t now = 0;
  // The effects come in the order of `now`; the calls around them overlap.
  while (all.size() < n) {
    now += 10;
    const std::size_t client = random.below(clients);
    if (free_at[client] >= now) continue;
    Operation o;
    o.invoke = std::max(free_at[client] + 1, now - std::min(now, random.below(10 * clients)));
    o.end = now + random.below(10 * clients);
    o.action =
        random.one_in(2) ? Action::kRead : (random.one_in(4) ? Action::kCas : Action::kWrite);
    if (o.action == Action::kRead) {
      o.value = state;
    } else {
      o.value = random.one_in(5) ? 0 : all.size() + 1;
      o.expected = state;
      state = o.value;
      if (o.action == Action::kWrite && random.one_in(unknown_one_in)) o.end = kNoEnd;
    }
    free_at[client] = o.end == kNoEnd ? now : o.end;
    all.push_back(o);
  }
  return all;
}

BOOST_AUTO_TEST_CASE(long_histories_take_few_steps) {
  Random random(7);
  const std::vector<Operation> all = working_register(random, 100'000, 10, 1000);
  const Verdict good = check_register(all, 0, 20 * all.size());
  BOOST_CHECK(good.answer == Linearizable::kYes);
  BOOST_TEST_MESSAGE("100,000 operations: " << good.steps << " steps");
  // One read near the end returns a value that was overwritten long before.
  std::vector<Operation> stale = all;
  for (std::size_t i = stale.size() - 100;; ++i) {
    if (stale[i].action != Action::kRead) continue;
    stale[i].value = stale[100].value + stale[101].value + stale[102].value;
    break;
  }
  const Verdict bad = check_register(stale, 0, 20 * all.size());
  BOOST_CHECK(bad.answer == Linearizable::kNo);
  BOOST_TEST_MESSAGE("with a stale read: " << bad.steps << " steps");
}

BOOST_AUTO_TEST_CASE(keys_are_checked_one_by_one) {
  std::vector<KeyedOperation> all = {
      {1, write(0, 1, 1)}, {2, write(2, 3, 2)}, {1, read(4, 5, 1)}, {2, read(4, 5, 2)}};
  BOOST_CHECK(check_registers(all, 0, kSteps).verdict.answer == Linearizable::kYes);
  all.push_back({2, read(6, 7, 1)});
  const KeyedVerdict v = check_registers(all, 0, kSteps);
  BOOST_CHECK(v.verdict.answer == Linearizable::kNo);
  BOOST_CHECK_EQUAL(v.key, 2U);
  BOOST_CHECK_EQUAL(v.verdict.stuck, 4U);
  const KeyedVerdict short_of_steps = check_registers(all, 0, 1);
  BOOST_CHECK(short_of_steps.verdict.answer == Linearizable::kGaveUp);
}

}  // namespace
}  // namespace skald::checker
