#include "tools/bench/judge.h"

#include <algorithm>
#include <string>

namespace skald::bench {
namespace {

/// What each publisher sent and what was refused, by its number.
struct Sending {
  std::vector<std::uint64_t> sent;
  std::vector<std::uint64_t> refused;
};

Sending sum_publishers(const Plan& plan, const std::vector<std::unique_ptr<Worker>>& workers,
                       Outcome& outcome) {
  Sending out;
  out.sent.resize(plan.topics.size());
  out.refused.resize(plan.topics.size());
  for (const auto& worker : workers) {
    for (const auto& publisher : worker->publishers()) {
      out.sent[publisher->number()] = publisher->sent();
      out.refused[publisher->number()] = publisher->refused();
      outcome.total_sent += publisher->sent();
      outcome.refused += publisher->refused();
      outcome.unacked += publisher->in_flight();
      outcome.unmatched_acks += publisher->unmatched();
      const std::uint64_t due = publisher->allowed_until();
      if (due != ~std::uint64_t{0} && due > publisher->sent()) {
        outcome.behind += due - publisher->sent();
      }
    }
  }
  return out;
}

void sum_receiver(const Plan& plan, const Receiver& receiver, bool learns, const Sending& sending,
                  Outcome& outcome) {
  outcome.corrupt += receiver.corrupt();
  outcome.foreign += receiver.foreign();
  for (std::size_t i = 0; i < receiver.flows().size(); ++i) {
    const Flow& flow = receiver.flows()[i];
    const std::size_t publisher = receiver.first_publisher() + i;
    const std::uint64_t sent = learns ? flow.end() : sending.sent[publisher];
    const std::uint64_t refused = learns ? 0 : sending.refused[publisher];
    outcome.total_expected += sent - refused;
    outcome.total_unique += flow.unique();
    outcome.lost += flow.lost(sent) - std::min(flow.lost(sent), refused);
    outcome.duplicates += flow.duplicates();
    if (plan.checks_order) outcome.disordered += flow.disordered();
    // A sequence that nobody sent yet would be a forgery of our own check sum.
    if (!learns && flow.end() > sent) outcome.foreign += flow.end() - sent;
  }
}

void list_failures(const Options& options, Outcome& outcome) {
  const auto qos = static_cast<int>(std::min(options.qos, options.subscribe_qos));
  const auto check = [&outcome](std::uint64_t count, const std::string& what) {
    if (count != 0) outcome.failures.push_back(std::to_string(count) + " " + what);
  };
  if (qos >= 1) check(outcome.lost, "lost (QoS " + std::to_string(qos) + ")");
  if (qos != 1) check(outcome.duplicates, "duplicates (QoS " + std::to_string(qos) + ")");
  check(outcome.disordered, "out of order");
  check(outcome.corrupt, "corrupt");
  check(outcome.foreign, "foreign");
  check(outcome.wrong_qos, "delivered with a wrong QoS");
  check(outcome.unacked, "never acknowledged");
  check(outcome.refused, "refused by the broker");
  check(outcome.unmatched_acks, "acknowledgements that nothing waited for");
  check(outcome.protocol_errors, "protocol errors");
  check(outcome.closed, "connections lost");
  check(outcome.not_connected, "clients that did not get ready");
}

}  // namespace

void judge(const Options& options, const Plan& plan,
           const std::vector<std::unique_ptr<Worker>>& workers, const Control& control,
           Outcome& outcome) {
  const Totals totals = control.totals();
  outcome.clients = plan.clients.size();
  outcome.ready = totals[kReady];
  outcome.not_connected = outcome.clients - totals[kReady];
  outcome.closed = totals[kClosed];
  outcome.protocol_errors = totals[kProtocolErrors];
  outcome.wrong_qos = totals[kWrongQos];
  outcome.first_error = control.first_error();
  const Sending sending = sum_publishers(plan, workers, outcome);
  bool first = true;
  for (const auto& worker : workers) {
    outcome.connect_latency.merge(worker->connect_latency());
    outcome.delivery_latency.merge(worker->delivery_latency());
    outcome.ack_latency.merge(worker->ack_latency());
    for (std::size_t i = 0; i < worker->receivers().size(); ++i) {
      const Receiver* receiver = worker->receivers()[i].get();
      if (receiver == nullptr) continue;
      sum_receiver(plan, *receiver, plan.receivers[i].learns, sending, outcome);
    }
    for (const std::uint64_t count : worker->deliveries_by_client()) {
      outcome.member_least = first ? count : std::min(outcome.member_least, count);
      outcome.member_most = std::max(outcome.member_most, count);
      first = false;
    }
  }
  list_failures(options, outcome);
}

double Outcome::broker_cpu_per_100k() const {
  const std::uint64_t count = delivered != 0 ? delivered : sent;
  return count == 0 ? 0 : broker_cpu_s * 1e5 / static_cast<double>(count);
}

double Outcome::own_cpu_per_100k() const {
  const std::uint64_t count = delivered != 0 ? delivered : sent;
  return count == 0 ? 0 : own_cpu_s * 1e5 / static_cast<double>(count);
}

const char* Outcome::saturated() const {
  constexpr double kFull = 0.95;
  const bool broker = broker_known && broker_share() >= kFull;
  const bool own = own_share() >= kFull;
  return broker && own ? "both" : broker ? "broker" : own ? "generator" : "neither";
}

}  // namespace skald::bench
