// Retained messages as registers, one per tenant and topic: what was written, and what each
// subscribe read of it.
//
// A read is the first retained delivery of the topic after a subscribe, or nothing when the driver
// says `readend` and neither a retained nor a live message of the topic came on that subscription.
// Its interval begins with the subscribe's invoke and ends with the delivery or the `readend`.
#pragma once

#include <cstdint>
#include <vector>

#include "tests/chaos/checker/model.h"

namespace skald::checker {

struct Write {
  std::uint32_t message = kNone;
  std::uint64_t invoke = 0;
  std::uint64_t end = kForever;  // forever: outcome unknown
  bool empty = false;
};

struct Read {
  std::uint32_t message = kNone;  // kNone: nothing was retained
  std::uint64_t start = 0;
  std::uint64_t end = 0;
  std::uint32_t sub = kNone;    // events
  std::uint32_t event = kNone;  // the delivery or the readend
};

struct Register {
  std::uint32_t topic = kNone;
  std::vector<Write> writes;  // sorted by invoke
  std::vector<Read> reads;
  bool expires = false;  // some value has an expiry
};

/// All topics that some message of the history was to be retained on.
std::vector<Register> collect_registers(const Model& model, Report& report);

}  // namespace skald::checker
