// The command line of `skald bench`.
#pragma once

namespace skald::bench {

/// argv[0] is how the command is called ("skald bench"). Returns the exit code: 0 all checks held,
/// 1 one of them did not, 2 wrong arguments or a run that could not be held.
int bench_main(int argc, char** argv);

}  // namespace skald::bench
