// Always-on assertions: for our bugs, never for the world's or a peer's failures.
//
// A broken invariant must not go on to write acks or disk, so ASSERT stays in release builds.
#pragma once

namespace skald {

/// Prints the place and aborts the process.
[[noreturn]] void assertion_failed(const char* condition, const char* file, int line) noexcept;

}  // namespace skald

#define SKALD_ASSERT(condition)                              \
  (__builtin_expect(!!(condition), 1) ? static_cast<void>(0) \
                                      : ::skald::assertion_failed(#condition, __FILE__, __LINE__))
