// Runs tests/golden/raft/*.txt. UPDATE_GOLDEN=1 rewrites them: commit the difference only if you
// can explain it.
#include <algorithm>
#include <boost/test/unit_test.hpp>
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <sstream>

#include "tests/raft/script.h"

namespace {

std::string content(const std::filesystem::path& path) {
  std::ifstream in(path);
  std::ostringstream out;
  out << in.rdbuf();
  return out.str();
}

/// The first lines that differ, for the eye.
std::string difference(const std::string& want, const std::string& got) {
  std::istringstream a(want);
  std::istringstream b(got);
  std::string wanted;
  std::string line;
  for (int number = 1;; ++number) {
    const bool more_a = static_cast<bool>(std::getline(a, wanted));
    const bool more_b = static_cast<bool>(std::getline(b, line));
    if (!more_a && !more_b) return "equal";
    if (more_a != more_b || wanted != line) {
      return "line " + std::to_string(number) + "\n  want: " + wanted + "\n  got:  " + line;
    }
  }
}

}  // namespace

BOOST_AUTO_TEST_CASE(golden_scripts) {
  std::vector<std::filesystem::path> paths;
  for (const auto& file : std::filesystem::directory_iterator(SKALD_GOLDEN_DIR)) {
    if (file.path().extension() == ".txt") paths.push_back(file.path());
  }
  std::sort(paths.begin(), paths.end());
  BOOST_TEST(paths.size() >= 15u);
  const bool update = std::getenv("UPDATE_GOLDEN") != nullptr;
  for (const auto& path : paths) {
    const std::string want = content(path);
    const std::string got = skald::raft::script::run(want);
    if (update && got != want) std::ofstream(path) << got;
    BOOST_TEST((update || got == want), path.filename().string() << ": " << difference(want, got));
  }
}
