#include "kv/range/tombstone.h"

#include "config/base/coding.h"

namespace skald::range {
namespace {

constexpr std::uint8_t kVersion = 1;
constexpr std::string_view kPrefix = "tombstone/";

}  // namespace

std::string tombstone_key(RangeId range) {
  std::string key(kPrefix);
  put_be64(key, range.value);
  return key;
}

RangeId tombstone_range(std::string_view key) {
  if (!key.starts_with(kPrefix)) return {};
  Reader in(key.substr(kPrefix.size()));
  const RangeId range{in.be64()};
  return in.done() ? range : RangeId{};
}

std::string encode(const Tombstone& tombstone) {
  std::string out;
  put_u8(out, kVersion);
  put_varint(out, tombstone.highest.value);
  put_bytes(out, encode(tombstone.descriptor));
  return out;
}

Result<Tombstone> decode_tombstone(std::string_view bytes) {
  Reader in(bytes);
  in.version(kVersion);
  Tombstone tombstone;
  tombstone.highest.value = in.varint();
  const std::string_view descriptor = in.bytes();
  if (!in.done()) return Error{"tombstone: cannot be read"};
  Result<Descriptor> decoded = decode_descriptor(descriptor);
  if (!decoded.ok()) return decoded.error();
  tombstone.descriptor = std::move(*decoded);
  return tombstone;
}

std::string encode(const Birth& birth) {
  std::string out;
  put_u8(out, kVersion);
  put_varint(out, birth.parent.value);
  put_varint(out, birth.replica.value);
  put_varint(out, birth.index);
  return out;
}

Result<Birth> decode_birth(std::string_view bytes) {
  Reader in(bytes);
  in.version(kVersion);
  Birth birth;
  birth.parent.value = in.varint();
  birth.replica.value = in.varint();
  birth.index = in.varint();
  if (!in.done()) return Error{"birth of a replica: cannot be read"};
  return birth;
}

}  // namespace skald::range
