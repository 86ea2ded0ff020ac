// The test broker without faults, as a process of its own: what the load generator costs, and what
// it can reach when the broker does next to nothing.
#include <unistd.h>

#include <cstdio>
#include <cstdlib>

#include "tests/bench/test_broker.h"

int main(int argc, char** argv) {
  const int port = argc > 1 ? std::atoi(argv[1]) : 0;
  skald::bench::TestBroker broker({}, static_cast<std::uint16_t>(port));
  std::printf("port %d pid %d\n", broker.port(), static_cast<int>(getpid()));
  std::fflush(stdout);
  pause();
}
