#include "kv/route/router.h"

#include <algorithm>
#include <utility>

#include "kv/range/lanes.h"

namespace skald::route {

using range::Outcome;

void Router::learn(const range::Descriptor& descriptor) {
  if (!table_.learn(descriptor)) return;
  const auto line = lines_.find(descriptor.id);
  if (line != lines_.end() && line->second.boundary_ver < descriptor.epoch.boundary_ver) {
    line->second.known = false;
  }
  for (Op& op : std::exchange(homeless_, {})) route(std::move(op));
}

void Router::submit(std::uint64_t op, std::string key, std::string bytes) {
  route({op, std::move(key), std::move(bytes), 0, 0, 0, 0, false});
}

/// Behind what waits for the same key, wherever that is: only so do they stay in order.
void Router::route(Op op) {
  Home& home = homes_[op.key];
  if (home.ops == 0) {
    const range::Descriptor* where = table_.find(op.key);
    home.range = where == nullptr ? RangeId{} : where->id;
  }
  ++home.ops;
  if (home.range) {
    lines_[home.range].ops.push_back(std::move(op));
    return;
  }
  --home.ops;
  if (home.ops == 0) homes_.erase(op.key);
  homeless_.push_back(std::move(op));
}

void Router::leave_home(const std::string& key) {
  const auto home = homes_.find(key);
  if (--home->second.ops == 0) homes_.erase(home);
}

std::size_t Router::waiting() const {
  std::size_t count = homeless_.size();
  for (const auto& [range, line] : lines_) count += line.ops.size();
  return count;
}

range::StoreId Router::target(RangeId range, Line& line) const {
  if (line.leader) return line.leader;
  const range::Descriptor* descriptor = table_.range(range);
  if (descriptor == nullptr || descriptor->replicas.empty()) return {};
  return descriptor->replicas[line.turn % descriptor->replicas.size()].store;
}

void Router::tick(std::uint64_t now_us) {
  now_us_ = now_us;
  for (auto& [range, line] : lines_) {
    if (line.query != 0 && now_us_ - line.query_us > options_.timeout_us) {
      requests_.erase(std::exchange(line.query, 0));
      try_again(line, {});
    }
    for (Op& op : line.ops) {
      if (op.request == 0 || now_us_ - op.sent_us <= options_.timeout_us) continue;
      requests_.erase(std::exchange(op.request, 0));
      try_again(line, {});
    }
  }
}

Router::Out Router::take() {
  for (auto& [range, line] : lines_) {
    if (!line.ops.empty() && now_us_ >= line.not_before_us) pump(range, line);
  }
  return std::exchange(out_, {});
}

void Router::ask(RangeId range, Line& line) {
  if (line.query != 0) return;
  const range::StoreId to = target(range, line);
  if (!to) return;
  line.query = next_request_++;
  line.query_us = now_us_;
  requests_[line.query] = range;
  out_.requests.push_back({to, range, range::ReadRequest{line.query, 0, lane_}});
}

void Router::give_number(Line& line, Op& op) {
  if (op.seq != 0) return;
  op.seq = line.next++;
  op.boundary_ver = line.boundary_ver;
}

void Router::pump(RangeId range, Line& line) {
  if (!line.known) return ask(range, line);
  const range::StoreId to = target(range, line);
  if (!to) return;
  std::uint64_t oldest = 0;
  for (const Op& op : line.ops) {
    if (op.seq != 0 && (oldest == 0 || op.seq < oldest)) oldest = op.seq;
  }
  std::size_t under_way = 0;
  for (Op& op : line.ops) {
    if (++under_way > options_.window) return;
    if (op.request != 0) continue;
    // The range keeps so many replies: one that is lost must still be there when asked for again.
    if (op.seq == 0 && oldest != 0 && line.next >= oldest + range::kLaneWindow) return;
    give_number(line, op);
    if (oldest == 0) oldest = op.seq;
    op.request = next_request_++;
    op.sent_us = now_us_;
    requests_[op.request] = range;
    out_.requests.push_back(
        {to, range, range::DataRequest{op.request, op.boundary_ver, lane_, op.seq, op.bytes, 1}});
  }
}

void Router::try_again(Line& line, const range::Reply& reply) {
  line.not_before_us = now_us_ + options_.retry_us;
  line.leader = reply.leader;
  ++line.turn;
}

void Router::on_reply(std::uint64_t request, const range::Reply& reply) {
  const auto found = requests_.find(request);
  if (found == requests_.end()) return;
  const RangeId range = found->second;
  requests_.erase(found);
  for (const range::Descriptor& descriptor : reply.descriptors) learn(descriptor);
  Line& line = lines_[range];
  if (line.query != request) return on_data_reply(range, line, request, reply);
  line.query = 0;
  if (reply.outcome == Outcome::kDone && !reply.descriptors.empty()) {
    learned_line(range, line, reply);
  } else {
    try_again(line, reply);
  }
}

void Router::learned_line(RangeId, Line& line, const range::Reply& reply) {
  const range::Descriptor& now = reply.descriptors.front();
  line.known = true;
  if (now.epoch.boundary_ver == line.boundary_ver) return;
  line.boundary_ver = now.epoch.boundary_ver;
  line.next = reply.next_seq;
  std::deque<Op> anew;
  std::deque<Op> there;
  for (Op& op : line.ops) {
    if (op.request != 0) requests_.erase(std::exchange(op.request, 0));
    const bool applied = op.applied || (op.seq != 0 && op.seq < line.next);
    if (!op.applied) leave_home(op.key);
    op.applied = applied;
    if (!applied) op.seq = 0;
    (applied ? there : anew).push_back(std::move(op));
  }
  line.ops = std::move(there);
  for (Op& op : anew) route(std::move(op));
}

void Router::on_data_reply(RangeId, Line& line, std::uint64_t request, const range::Reply& reply) {
  const auto op = std::find_if(line.ops.begin(), line.ops.end(),
                               [request](const Op& o) { return o.request == request; });
  if (op == line.ops.end()) return;
  op->request = 0;
  // Other refusals keep their number: were it skipped, all behind it would be a gap.
  switch (reply.outcome) {
    case Outcome::kDone:
    case Outcome::kTooOld:
    case Outcome::kEnded:
      out_.results.push_back({op->op, reply.outcome, reply.bytes});
      if (reply.leader) line.leader = reply.leader;
      if (!op->applied) leave_home(op->key);
      line.ops.erase(op);
      return;
    case Outcome::kStaleEpoch:
      line.known = false;
      return;
    default:
      try_again(line, reply);
  }
}

}  // namespace skald::route
