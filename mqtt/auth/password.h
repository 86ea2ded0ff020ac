// Password hashes: read, made and compared.
//
// Three forms are read: "$argon2id$v=19$m=..,t=..,p=..$salt$hash" (RFC 9106), which is also what is
// made, and those of Mosquitto's password files, "$7$iterations$salt$hash" (PBKDF2, SHA-512) and
// "$6$salt$hash" (SHA-512 of password and salt). A pure value; the caller brings the salt. To make
// or compare one takes tens of milliseconds: never on a loop. The comparison takes the same time
// wherever the hashes differ.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>

#include "config/base/result.h"

namespace skald::auth {

/// What an argon2id hash costs: the second choice of RFC 9106 for little memory.
struct Argon2Cost {
  std::uint32_t memory_kib = 19 * 1024;
  std::uint32_t passes = 2;
  std::uint32_t lanes = 1;

  bool operator==(const Argon2Cost&) const = default;
};

class PasswordHash {
 public:
  enum class Kind : std::uint8_t { argon2id, pbkdf2_sha512, sha512 };
  enum class Match : std::uint8_t { yes, no, failed };  // failed: no memory, a broken library

  static constexpr std::size_t kSaltBytes = 16;

  /// The error says what is wrong with it, never what it is. Costs beyond 1 GiB of memory, 64
  /// passes, 64 lanes or 10,000,000 iterations are refused: a typing error would stop the node.
  static Result<PasswordHash> parse(std::string_view text);
  static Result<PasswordHash> argon2id(std::string_view password, std::string_view salt,
                                       const Argon2Cost& cost = {});
  static Result<PasswordHash> pbkdf2(std::string_view password, std::string_view salt,
                                     std::uint32_t iterations);

  Match matches(std::string_view password) const;
  /// As parse() takes it.
  std::string text() const;
  Kind kind() const { return kind_; }

  bool operator==(const PasswordHash&) const = default;

 private:
  bool derive(std::string_view password, std::string& out) const;

  Kind kind_ = Kind::argon2id;
  Argon2Cost cost_;
  std::uint32_t iterations_ = 0;
  std::string salt_;
  std::string hash_;
};

}  // namespace skald::auth
