// A stream of packets from one side of a connection. First byte: version, side, how it is cut.
//
// Oracles: judge() on each frame (what decodes encodes to what decodes to an equal value, sizes,
// views, hot path against general path), and the same frames whether the stream comes whole, in
// chunks, or as `needed` asks for it.
#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "mqtt/codec/decoder.h"
#include "tests/codec/oracle.h"
#include "tests/fuzz/fault.h"

namespace skald::codec {
namespace {

constexpr std::size_t kAnySize = std::size_t{kMaxVarint} + 5;

void check(const std::string& fault) {
  if (!fault.empty()) fuzz::fault(fault);
}

/// Judges every frame; returns where they end.
std::vector<std::size_t> judge_stream(std::string_view stream, Version version, Side side) {
  std::vector<std::size_t> ends;
  std::size_t at = 0;
  while (at < stream.size()) {
    const std::string_view rest = stream.substr(at);
    check(judge(rest, version, side).fault);
    const FrameResult result = next_frame(rest, kAnySize);
    if (result.status != FrameStatus::complete) break;
    if (result.frame.bytes.size() <= 300) check(judge_prefixes(result.frame.bytes));
    at += result.frame.bytes.size();
    ends.push_back(at);
  }
  return ends;
}

/// The ends of the frames when `chunk` bytes arrive at a time; 0: exactly as many as are needed.
std::vector<std::size_t> frame_stream(std::string_view stream, std::size_t chunk) {
  std::vector<std::size_t> ends;
  std::string buffer;
  std::size_t received = 0, at = 0;
  for (;;) {
    const FrameResult result = next_frame(buffer, kAnySize);
    if (result.status == FrameStatus::complete) {
      at += result.frame.bytes.size();
      ends.push_back(at);
      buffer.erase(0, result.frame.bytes.size());
      continue;
    }
    if (result.status != FrameStatus::need_more) return ends;
    if (result.needed <= buffer.size()) fuzz::fault("needs no more than there is");
    const std::size_t wanted = chunk == 0 ? result.needed - buffer.size() : chunk;
    const std::size_t step = std::min(wanted, stream.size() - received);
    if (step == 0 || (chunk == 0 && step < wanted)) return ends;
    buffer.append(stream.substr(received, step));
    received += step;
  }
}

}  // namespace
}  // namespace skald::codec

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  using namespace skald::codec;
  if (size == 0) return 0;
  static constexpr Version kVersions[] = {Version::v31, Version::v311, Version::v5, Version::v5};
  const Version version = kVersions[data[0] & 3U];
  const Side side = (data[0] & 4U) != 0 ? Side::server : Side::client;
  const std::string_view stream(reinterpret_cast<const char*>(data) + 1, size - 1);
  const std::vector<std::size_t> ends = judge_stream(stream, version, side);
  if (frame_stream(stream, 0) != ends) skald::fuzz::fault("framing as needed differs");
  if (frame_stream(stream, 1 + (data[0] >> 3)) != ends) skald::fuzz::fault("chunks differ");
  return 0;
}
