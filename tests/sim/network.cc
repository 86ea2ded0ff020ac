#include "tests/sim/network.h"

#include <algorithm>

namespace skald::sim {

void Network::send(Machine from, Machine to, std::uint32_t channel, Micros extra, Deliver deliver) {
  ++counters_.sent;
  Micros delay = options_.delay_min + random_.between(0, options_.delay_spread) + extra;
  if (random_.chance(options_.slow_per_mille, 1000)) delay += random_.below(options_.slow + 1);
  if (options_.streams) {
    send_stream(from, to, channel, delay, std::move(deliver));
    return;
  }
  if (is_cut(from, to) || random_.chance(options_.loss_per_mille, 1000)) {
    ++counters_.lost;
    return;
  }
  const bool twice = random_.chance(options_.duplicate_per_mille, 1000);
  if (twice) {
    ++counters_.duplicated;
    scheduler_.after(delay + random_.below(20 * options_.delay_spread + 1), deliver);
  }
  ++counters_.delivered;
  scheduler_.after(delay, std::move(deliver));
}

void Network::send_stream(Machine from, Machine to, std::uint32_t channel, Micros delay,
                          Deliver deliver) {
  Stream& stream = streams_[{from, to, channel}];
  if (stream.broken) {
    ++counters_.lost;
    return;
  }
  if (is_cut(from, to)) {
    // Nothing comes back: some time later the sender gives the connection up.
    ++counters_.lost;
    stream.broken = true;
    scheduler_.after(random_.between(200, 3000) * kMillisecond,
                     [this, from, to] { reset(from, to); });
    return;
  }
  stream.last_delivery = std::max(stream.last_delivery + 1, scheduler_.now() + delay);
  const std::uint64_t epoch = stream.epoch;
  scheduler_.at(stream.last_delivery, [this, &stream, epoch, deliver = std::move(deliver)] {
    const bool in_time =
        stream.epoch == epoch || (stream.epoch == epoch + 1 && scheduler_.now() <= stream.cut_time);
    ++(in_time ? counters_.delivered : counters_.lost);
    if (in_time) deliver();
  });
  if (random_.chance(options_.reset_per_mille, 1000)) reset(from, to);
}

void Network::reset(Machine a, Machine b) {
  ++counters_.resets;
  for (auto& [key, stream] : streams_) {
    const auto [from, to, channel] = key;
    if (!(from == a && to == b) && !(from == b && to == a)) continue;
    ++stream.epoch;
    stream.cut_time = scheduler_.now() + random_.below(options_.delay_spread + 1);
    stream.broken = false;
  }
  tell(a, b);
  tell(b, a);
}

/// Usually at once; a connection may also stay half open for seconds (0: never).
void Network::tell(Machine machine, Machine peer) {
  const bool half_open = options_.half_open_one_in > 0 && random_.one_in(options_.half_open_one_in);
  const Micros delay = half_open ? random_.between(1, 3000) * kMillisecond : random_.below(1000);
  scheduler_.after(delay, [this, machine, peer] { disconnected_(machine, peer); });
}

void Network::heal(Machine from, Machine to) { cut_.erase({from, to}); }

void Network::heal_all() {
  cut_.clear();
  for (auto& [key, stream] : streams_) stream.broken = false;
}

void Network::calm() {
  calm_ = true;
  options_.slow_per_mille = 0;
  options_.loss_per_mille = 0;
  options_.duplicate_per_mille = 0;
  options_.reset_per_mille = 0;
}

}  // namespace skald::sim
