// Result<T> and Status: how failures of the world (disk, peer, configuration) are told.
//
// Our own bugs are asserted instead (assert.h); a client that breaks the protocol is an ordinary
// value of the protocol (codec::ReasonCode).
#pragma once

#include <string>
#include <utility>
#include <variant>

#include "config/base/assert.h"

namespace skald {

/// Why something failed, in words for the person who must act on it.
struct Error {
  std::string message;

  bool operator==(const Error&) const = default;
};

/// Either a T or an Error. Copyable and movable when T is.
template <class T>
class [[nodiscard]] Result {
 public:
  Result(T value) : state_(std::move(value)) {}
  Result(Error error) : state_(std::move(error)) {}

  bool ok() const { return state_.index() == 0; }
  explicit operator bool() const { return ok(); }

  /// Requires: ok().
  T& value() {
    SKALD_ASSERT(ok());
    return *std::get_if<0>(&state_);
  }
  const T& value() const {
    SKALD_ASSERT(ok());
    return *std::get_if<0>(&state_);
  }
  T& operator*() { return value(); }
  const T& operator*() const { return value(); }
  T* operator->() { return &value(); }
  const T* operator->() const { return &value(); }

  /// Requires: !ok().
  const Error& error() const {
    SKALD_ASSERT(!ok());
    return *std::get_if<1>(&state_);
  }

 private:
  std::variant<T, Error> state_;
};

/// A Result without a value.
class [[nodiscard]] Status {
 public:
  Status() = default;
  Status(Error error) : error_(std::move(error)), failed_(true) {}

  bool ok() const { return !failed_; }
  explicit operator bool() const { return ok(); }

  /// Requires: !ok().
  const Error& error() const {
    SKALD_ASSERT(failed_);
    return error_;
  }

 private:
  Error error_;
  bool failed_ = false;
};

}  // namespace skald
