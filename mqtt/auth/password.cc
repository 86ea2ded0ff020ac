#include "mqtt/auth/password.h"

#include <argon2.h>
#include <openssl/crypto.h>
#include <openssl/evp.h>

#include <charconv>
#include <limits>
#include <optional>
#include <vector>

#include "mqtt/auth/base64.h"

namespace skald::auth {

namespace {

constexpr std::size_t kHashBytes = 32;        // of those made here with argon2id
constexpr std::size_t kSha512Bytes = 64;      // of both forms of Mosquitto
constexpr std::size_t kMaxFieldBytes = 1024;  // of a salt or hash that is read
constexpr std::uint32_t kMaxMemoryKib = 1 << 20;
constexpr std::uint32_t kMaxPasses = 64;
constexpr std::uint32_t kMaxLanes = 64;
constexpr std::uint32_t kMaxIterations = 10'000'000;

std::vector<std::string_view> split(std::string_view text, char separator) {
  std::vector<std::string_view> parts;
  for (;;) {
    const std::size_t at = text.find(separator);
    parts.push_back(text.substr(0, at));
    if (at == std::string_view::npos) return parts;
    text.remove_prefix(at + 1);
  }
}

/// A number from 1 to `max`, all of `text`.
std::optional<std::uint32_t> number(std::string_view text, std::uint32_t max) {
  std::uint32_t value = 0;
  const auto [rest, error] = std::from_chars(text.data(), text.data() + text.size(), value);
  if (error != std::errc() || rest != text.data() + text.size()) return std::nullopt;
  if (value == 0 || value > max) return std::nullopt;
  return value;
}

/// "m=19456,t=2,p=1"
std::optional<Argon2Cost> parse_cost(std::string_view text) {
  const std::vector<std::string_view> parts = split(text, ',');
  if (parts.size() != 3) return std::nullopt;
  if (!parts[0].starts_with("m=") || !parts[1].starts_with("t=") || !parts[2].starts_with("p=")) {
    return std::nullopt;
  }
  const auto memory = number(parts[0].substr(2), kMaxMemoryKib);
  const auto passes = number(parts[1].substr(2), kMaxPasses);
  const auto lanes = number(parts[2].substr(2), kMaxLanes);
  if (!memory || !passes || !lanes || *memory < 8 * *lanes) return std::nullopt;
  return Argon2Cost{.memory_kib = *memory, .passes = *passes, .lanes = *lanes};
}

const unsigned char* bytes(std::string_view text) {
  return reinterpret_cast<const unsigned char*>(text.data());
}
unsigned char* bytes(std::string& text) { return reinterpret_cast<unsigned char*>(text.data()); }

bool argon2id_raw(std::string_view password, std::string_view salt, const Argon2Cost& cost,
                  std::string& out) {
  argon2_context context{};
  context.out = bytes(out);
  context.outlen = static_cast<std::uint32_t>(out.size());
  // It does not write to these without flags that are not set.
  context.pwd = const_cast<unsigned char*>(bytes(password));
  context.pwdlen = static_cast<std::uint32_t>(password.size());
  context.salt = const_cast<unsigned char*>(bytes(salt));
  context.saltlen = static_cast<std::uint32_t>(salt.size());
  context.t_cost = cost.passes;
  context.m_cost = cost.memory_kib;
  context.lanes = cost.lanes;
  context.threads = 1;  // the caller decides how many cores logins may take
  context.version = ARGON2_VERSION_13;
  return argon2_ctx(&context, Argon2_id) == ARGON2_OK;
}

bool sha512(std::string_view password, std::string_view salt, std::string& out) {
  EVP_MD_CTX* context = EVP_MD_CTX_new();
  if (context == nullptr) return false;
  unsigned int size = 0;
  const bool done = EVP_DigestInit_ex(context, EVP_sha512(), nullptr) == 1 &&
                    EVP_DigestUpdate(context, password.data(), password.size()) == 1 &&
                    EVP_DigestUpdate(context, salt.data(), salt.size()) == 1 &&
                    EVP_DigestFinal_ex(context, bytes(out), &size) == 1;
  EVP_MD_CTX_free(context);
  return done && size == out.size();
}

}  // namespace

Result<PasswordHash> PasswordHash::parse(std::string_view text) {
  const std::vector<std::string_view> parts = split(text, '$');
  const Error unknown{
      "not a password hash: make one with `skald passwd`; $argon2id$, and $7$ and $6$ of "
      "mosquitto_passwd, are read"};
  if (parts.size() < 4 || !parts[0].empty()) return unknown;
  PasswordHash read;
  std::string_view salt;
  std::string_view hash;
  if (parts[1] == "argon2id" && parts.size() == 6) {
    const auto cost = parse_cost(parts[3]);
    if (parts[2] != "v=19" || !cost) return Error{"password hash: argon2id parameters not taken"};
    read.cost_ = *cost;
    salt = parts[4];
    hash = parts[5];
  } else if (parts[1] == "7" && parts.size() == 5) {
    const auto iterations = number(parts[2], kMaxIterations);
    if (!iterations) return Error{"password hash: iterations must be from 1 to 10000000"};
    read.kind_ = Kind::pbkdf2_sha512;
    read.iterations_ = *iterations;
    salt = parts[3];
    hash = parts[4];
  } else if (parts[1] == "6" && parts.size() == 4) {
    read.kind_ = Kind::sha512;
    salt = parts[2];
    hash = parts[3];
  } else {
    return unknown;
  }
  const auto salt_bytes = from_base64(salt.substr(0, kMaxFieldBytes));
  const auto hash_bytes = from_base64(hash.substr(0, kMaxFieldBytes));
  // argon2 itself takes no salt below 8 bytes; an empty hash would match anything.
  const std::size_t least_salt = read.kind_ == Kind::argon2id ? 8 : 1;
  const bool sizes = salt_bytes && hash_bytes && salt_bytes->size() >= least_salt &&
                     (read.kind_ == Kind::argon2id ? hash_bytes->size() >= 16
                                                   : hash_bytes->size() == kSha512Bytes);
  if (!sizes) return Error{"password hash: salt or hash is cut short or not base64"};
  read.salt_ = *salt_bytes;
  read.hash_ = *hash_bytes;
  return read;
}

Result<PasswordHash> PasswordHash::argon2id(std::string_view password, std::string_view salt,
                                            const Argon2Cost& cost) {
  PasswordHash made;
  made.cost_ = cost;
  made.salt_ = std::string(salt);
  made.hash_.resize(kHashBytes);
  std::string hash(kHashBytes, '\0');
  if (!made.derive(password, hash)) return Error{"cannot hash the password: not enough memory?"};
  made.hash_ = std::move(hash);
  return made;
}

Result<PasswordHash> PasswordHash::pbkdf2(std::string_view password, std::string_view salt,
                                          std::uint32_t iterations) {
  PasswordHash made;
  made.kind_ = Kind::pbkdf2_sha512;
  made.iterations_ = iterations;
  made.salt_ = std::string(salt);
  std::string hash(kSha512Bytes, '\0');
  if (!made.derive(password, hash)) return Error{"cannot hash the password"};
  made.hash_ = std::move(hash);
  return made;
}

bool PasswordHash::derive(std::string_view password, std::string& out) const {
  switch (kind_) {
    case Kind::argon2id:
      return argon2id_raw(password, salt_, cost_, out);
    case Kind::pbkdf2_sha512:
      return PKCS5_PBKDF2_HMAC(password.data(), static_cast<int>(password.size()), bytes(salt_),
                               static_cast<int>(salt_.size()), static_cast<int>(iterations_),
                               EVP_sha512(), static_cast<int>(out.size()), bytes(out)) == 1;
    case Kind::sha512:
      return sha512(password, salt_, out);
  }
  return false;
}

PasswordHash::Match PasswordHash::matches(std::string_view password) const {
  std::string derived(hash_.size(), '\0');
  if (hash_.empty() || !derive(password, derived)) return Match::failed;
  const bool same = CRYPTO_memcmp(derived.data(), hash_.data(), hash_.size()) == 0;
  return same ? Match::yes : Match::no;
}

std::string PasswordHash::text() const {
  switch (kind_) {
    case Kind::argon2id:
      return "$argon2id$v=19$m=" + std::to_string(cost_.memory_kib) +
             ",t=" + std::to_string(cost_.passes) + ",p=" + std::to_string(cost_.lanes) + "$" +
             base64(salt_, false) + "$" + base64(hash_, false);
    case Kind::pbkdf2_sha512:
      return "$7$" + std::to_string(iterations_) + "$" + base64(salt_, true) + "$" +
             base64(hash_, true);
    case Kind::sha512:
      return "$6$" + base64(salt_, true) + "$" + base64(hash_, true);
  }
  return {};
}

}  // namespace skald::auth
