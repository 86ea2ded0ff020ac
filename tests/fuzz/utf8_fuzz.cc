// The fast UTF-8 checks against the slow reference.
#include <cstddef>
#include <cstdint>
#include <string_view>

#include "mqtt/codec/utf8.h"
#include "tests/codec/utf8_reference.h"
#include "tests/fuzz/fault.h"

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  using namespace skald::codec;
  const std::string_view bytes(reinterpret_cast<const char*>(data), size);
  if (is_utf8(bytes) != reference_utf8(bytes, true, true)) skald::fuzz::fault("is_utf8");
  if (is_mqtt_string(bytes) != reference_utf8(bytes, false, true)) {
    skald::fuzz::fault("is_mqtt_string");
  }
  if (is_topic_name(bytes) != reference_utf8(bytes, false, false)) {
    skald::fuzz::fault("is_topic_name");
  }
  return 0;
}
