// How a fuzz target reports what it found.
#pragma once

#include <cstdio>
#include <cstdlib>
#include <string>

namespace skald::fuzz {

/// Prints `what` and aborts, so that libFuzzer keeps the input.
[[noreturn]] inline void fault(const std::string& what) {
  std::fprintf(stderr, "fault: %s\n", what.c_str());
  std::abort();
}

}  // namespace skald::fuzz
