// What the clients of simulated stores asked and were told, key by key: judged at the end by the
// linearizability checker.
//
// A write tells the value before it, so it is a compare-and-swap that succeeded; one that was never
// answered is a write that may have happened.
#pragma once

#include <cstdint>
#include <map>
#include <string>

#include "tests/checker/linearizable.h"
#include "tests/sim/outcome.h"

namespace skald::sim {

class History {
 public:
  void write_asked(std::uint64_t client, std::uint64_t op, const std::string& key, Micros now);
  void write_told(std::uint64_t client, std::uint64_t op, const std::string& before, Micros now);
  /// Only reads that were answered are part of the history.
  void read(const std::string& key, const std::string& value, Micros asked, Micros told);

  Violation check() const;

 private:
  struct Write {
    std::string key;
    std::size_t place = 0;  ///< in the key's operations
  };

  std::map<std::string, std::vector<checker::Operation>> keys_;
  std::map<std::pair<std::uint64_t, std::uint64_t>, Write> open_;  ///< by client and op
};

}  // namespace skald::sim
