#include "mqtt/inbox/client.h"

#include <algorithm>

#include "config/base/assert.h"
#include "mqtt/inbox/codec.h"
#include "mqtt/inbox/keys.h"

namespace skald::inbox {

namespace {

constexpr std::size_t kOperationBytes = 64;  // roughly, beside names and publications

std::size_t weight(const Name& name) { return name.tenant.size() + name.client_id.size(); }

}  // namespace

const Name* name_of(const Operation& operation) {
  return std::visit(
      [](const auto& one) -> const Name* {
        if constexpr (requires { one.name; }) {
          return &one.name;
        } else {
          return nullptr;
        }
      },
      operation);
}

RangeId Client::range_of(const std::string& key) const {
  const range::Descriptor* where = router_.table().find(key);
  return where == nullptr ? RangeId{} : where->id;
}

void Client::add(RangeId range, const std::string& key, Operation operation, std::uint64_t token,
                 std::size_t bytes) {
  Line& line = lines_[range];
  if (line.next.command.operations.empty()) line.next.key = key;
  line.next.command.operations.push_back(std::move(operation));
  line.next.tokens.push_back(token);
  line.next.bytes += bytes;
  waiting_bytes_ += bytes;
  if (line.next.command.operations.size() >= kOperationsPerCommand ||
      line.next.bytes >= kBytesPerCommand) {
    pump(range, line);
  }
}

void Client::submit(const Name& name, Operation operation, std::uint64_t token) {
  const std::string key = inbox_prefix(name);
  add(range_of(key), key, std::move(operation), token, kOperationBytes + weight(name));
}

void Client::insert(const mqtt::PublicationRef& publication, Manner manner,
                    std::vector<Insert::Target> targets, std::uint64_t token) {
  Insert head;
  head.once = manner.once;
  head.done_below = manner.done_below;
  head.retained_feed = manner.retained_feed;
  head.has_room = manner.has_room;
  // The usual case: all in one range. Otherwise a part for each range.
  std::map<RangeId, std::vector<Insert::Target>> parts;
  for (Insert::Target& target : targets) {
    parts[range_of(inbox_prefix(target.name))].push_back(std::move(target));
  }
  if (token != 0) spread_[token].parts += parts.size();
  for (auto& [range, part] : parts) insert_part(range, publication, head, std::move(part), token);
}

void Client::insert_part(RangeId range, const mqtt::PublicationRef& publication,
                         const Insert& manner, std::vector<Insert::Target> targets,
                         std::uint64_t token) {
  Command& command = lines_[range].next.command;
  Insert insert = manner;
  const std::string key = inbox_prefix(targets.front().name);
  std::size_t bytes = publication->size_bytes() + kOperationBytes;
  for (const Insert::Target& target : targets) bytes += kOperationBytes + weight(target.name);
  insert.publication = static_cast<std::uint32_t>(command.publications.size());
  insert.targets = std::move(targets);
  command.publications.push_back(publication);
  add(range, key, std::move(insert), token, bytes);
}

/// A command leaves at once, or waits for others when enough are under way.
void Client::pump(RangeId range, Line& line) {
  if (line.next.command.operations.empty() || line.in_flight >= kCommandsInFlight) return;
  const std::uint64_t op = ++last_op_;
  Batch batch = std::exchange(line.next, {});
  ++line.in_flight;
  router_.submit(op, batch.key, encode_command(batch.command));
  sent_.emplace(op, Sent{range, std::move(batch)});
}

Client::Out Client::take() {
  Out out;
  for (;;) {
    for (auto& [range, line] : lines_) pump(range, line);
    route::Router::Out routed = router_.take();
    out.requests.insert(out.requests.end(), std::make_move_iterator(routed.requests.begin()),
                        std::make_move_iterator(routed.requests.end()));
    if (routed.results.empty()) break;
    for (const route::Router::Result& result : routed.results) on_result(result);
  }
  out.completions = std::exchange(completions_, {});
  return out;
}

void Client::on_result(const route::Router::Result& result) {
  const auto found = sent_.find(result.op);
  SKALD_ASSERT(found != sent_.end());
  Sent sent = std::move(found->second);
  sent_.erase(found);
  --lines_[sent.range].in_flight;
  waiting_bytes_ -= sent.batch.bytes;
  Reply reply;
  if (result.outcome == range::Outcome::kDone) {
    auto decoded = decode_reply(result.bytes);
    SKALD_ASSERT(decoded.ok());
    reply = std::move(*decoded);
  } else {  // the life has ended: nothing of it will ever be applied again
    for (std::uint32_t i = 0; i < sent.batch.command.operations.size(); ++i) {
      OperationResult& one = reply.results.emplace_back();
      one.operation = i;
      one.result = Result::fenced;
    }
  }
  std::span<const OperationResult> rest(reply.results);
  for (std::uint32_t i = 0; i < sent.batch.command.operations.size(); ++i) {
    std::size_t count = 0;
    while (count < rest.size() && rest[count].operation == i) ++count;
    finish(sent.batch, i, rest.first(count));
    rest = rest.subspan(count);
  }
}

void Client::finish(Batch& batch, std::uint32_t operation,
                    std::span<const OperationResult> results) {
  Operation& done = batch.command.operations[operation];
  const std::uint64_t token = batch.tokens[operation];
  if (auto* insert = std::get_if<Insert>(&done)) {
    return finish_insert(batch, *insert, token, results);
  }
  if (!results.empty() && results.front().result == Result::wrong_range) {
    const Name* name = name_of(done);
    SKALD_ASSERT(name != nullptr);
    return submit(Name(*name), std::move(done), token);
  }
  if (token == 0) return;
  Completion completion{.token = token, .result = {}, .failures = {}};
  if (!results.empty()) completion.result = results.front();
  completions_.push_back(std::move(completion));
}

void Client::finish_insert(Batch& batch, Insert& insert, std::uint64_t token,
                           std::span<const OperationResult> results) {
  std::vector<Insert::Target> elsewhere;
  std::vector<Completion::Failure> failures;
  const bool ended = !results.empty() && results.front().result == Result::fenced;
  if (ended) {
    for (Insert::Target& target : insert.targets) {
      failures.push_back({std::move(target), Result::fenced});
    }
    results = {};
  }
  for (const OperationResult& result : results) {
    Insert::Target& target = insert.targets[result.target];
    if (result.result == Result::wrong_range) {
      elsewhere.push_back(std::move(target));
    } else {
      failures.push_back({std::move(target), result.result});
    }
  }
  if (!elsewhere.empty()) {
    const Manner manner{insert.once, insert.done_below, insert.retained_feed};
    this->insert(batch.command.publications[insert.publication], manner, std::move(elsewhere),
                 token);
  }
  if (token == 0) return;
  Spread& spread = spread_[token];
  spread.failures.insert(spread.failures.end(), std::make_move_iterator(failures.begin()),
                         std::make_move_iterator(failures.end()));
  if (--spread.parts > 0) return;
  completions_.push_back({.token = token, .result = {}, .failures = std::move(spread.failures)});
  spread_.erase(token);
}

}  // namespace skald::inbox
