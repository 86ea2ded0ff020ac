// A script of bytes on a session in an inbox: what the client, the network, the commits and the
// node's end do. The oracles are those of tests/session/stored_world.h.
#include <cstddef>
#include <cstdint>

#include "tests/fuzz/fault.h"
#include "tests/session/stored_world.h"

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  const std::uint8_t* const end = data + size;
  skald::session::testing::StoredWorld world([&data, end](std::uint32_t below) {
    return data == end ? 0U : std::uint32_t{*data++} % below;
  });
  for (int step = 0; step < 3000 && data != end && world.fault().empty(); ++step) world.step();
  world.heal();
  if (!world.fault().empty()) skald::fuzz::fault(world.fault());
  return 0;
}
