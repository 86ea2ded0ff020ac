#include "tools/bench/plan.h"

#include "config/base/assert.h"

namespace skald::bench {
namespace {

std::string fill_in(std::string text, std::uint32_t number, const std::string& client_id) {
  for (std::size_t at = 0; (at = text.find('%', at)) != std::string::npos;) {
    if (text.compare(at, 2, "%i") == 0) {
      const std::string digits = std::to_string(number);
      text.replace(at, 2, digits);
      at += digits.size();
    } else if (text.compare(at, 2, "%c") == 0) {
      text.replace(at, 2, client_id);
      at += client_id.size();
    } else {
      ++at;
    }
  }
  return text;
}

/// The filter that matches `topic` for every number: the levels from the first one with a
/// placeholder on become "#".
std::string filter_for_all(const std::string& topic) {
  const std::size_t placeholder = topic.find('%');
  if (placeholder == std::string::npos) return topic;
  const std::size_t slash = topic.rfind('/', placeholder);
  return slash == std::string::npos ? "#" : topic.substr(0, slash + 1) + "#";
}

std::string topic_or_default(const Options& options) {
  if (!options.topic.empty()) return options.topic;
  return options.mode == Mode::fanout ? "bench/all" : "bench/%i";
}

void add_publishers(const Options& options, Plan& plan) {
  const std::string topic = topic_or_default(options);
  for (std::uint32_t i = 0; i < options.publishers; ++i) {
    ClientPlan client;
    client.id = options.prefix + "-p" + std::to_string(i);
    client.publisher = i;
    client.worker = i % options.threads;
    plan.topics.push_back(fill_in(topic, i, client.id));
    plan.clients.push_back(std::move(client));
  }
}

void add_subscribers(const Options& options, Plan& plan) {
  const bool each_its_own =
      options.mode == Mode::pair || options.mode == Mode::sub || options.mode == Mode::conn;
  std::string filter = options.filter;
  if (filter.empty() && options.mode == Mode::conn) filter = options.topic;
  if (filter.empty() && options.mode != Mode::conn) {
    const std::string topic = topic_or_default(options);
    filter = each_its_own ? topic : filter_for_all(topic);
  }
  if (options.mode == Mode::shared) filter = "$share/" + options.group + "/" + filter;
  for (std::uint32_t i = 0; i < options.subscribers; ++i) {
    ClientPlan client;
    client.id = options.prefix + (options.mode == Mode::conn ? "-c" : "-s") + std::to_string(i);
    client.filter = fill_in(filter, i, client.id);
    // The members of a group are checked together, so they share a thread.
    client.worker = options.mode == Mode::shared ? options.threads - 1 : i % options.threads;
    if (options.mode == Mode::shared) {
      client.receiver = 0;
    } else {
      client.receiver = i;
    }
    plan.clients.push_back(std::move(client));
  }
}

}  // namespace

const char* mode_name(Mode mode) {
  switch (mode) {
    case Mode::conn:
      return "conn";
    case Mode::pub:
      return "pub";
    case Mode::sub:
      return "sub";
    case Mode::pair:
      return "pair";
    case Mode::fanin:
      return "fanin";
    case Mode::fanout:
      return "fanout";
    case Mode::shared:
      return "shared";
  }
  return "?";
}

Plan make_plan(const Options& options) {
  SKALD_ASSERT(options.threads > 0);
  Plan plan;
  if (options.mode != Mode::conn && options.mode != Mode::sub) add_publishers(options, plan);
  if (options.mode != Mode::pub) add_subscribers(options, plan);
  if (options.mode == Mode::shared) {
    plan.receivers.push_back({0, options.publishers, false});
    plan.checks_order = false;
  } else if (options.mode != Mode::pub) {
    for (std::uint32_t i = 0; i < options.subscribers; ++i) {
      ReceiverPlan receiver{0, options.publishers, false};
      if (options.mode == Mode::pair) receiver = {i, 1, false};
      if (options.mode == Mode::sub) receiver = {0, 0, true};
      if (options.mode == Mode::conn) receiver = {0, 0, false};
      plan.receivers.push_back(receiver);
    }
  }
  const bool everyone = options.mode == Mode::fanin || options.mode == Mode::fanout;
  const bool one = options.mode == Mode::pair || options.mode == Mode::shared;
  plan.copies = everyone ? options.subscribers : one ? 1 : 0;
  return plan;
}

}  // namespace skald::bench
