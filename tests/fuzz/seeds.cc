// Writes the seed corpora of the fuzz targets, one folder a target: fuzz_seeds FOLDER.
#include <cstdio>
#include <filesystem>
#include <fstream>
#include <string>

#include "tests/codec/golden.h"

namespace skald::fuzz {
namespace {

/// Numbers the files of one target's folder.
class Corpus {
 public:
  Corpus(const std::filesystem::path& root, const char* target) : folder_(root / target) {
    std::filesystem::create_directories(folder_);
  }
  void add(const std::string& bytes) {
    std::ofstream(folder_ / std::to_string(count_++), std::ios::binary) << bytes;
  }

 private:
  std::filesystem::path folder_;
  int count_ = 0;
};

char first_byte(const codec::GoldenCase& golden) {
  int byte = golden.version == codec::Version::v31    ? 0
             : golden.version == codec::Version::v311 ? 1
                                                      : 2;
  if (golden.side == codec::Side::server) byte |= 4;
  return static_cast<char>(byte);
}

/// Each golden frame alone; the fuzzer joins them.
void write_decoder_and_utf8(const std::filesystem::path& root) {
  Corpus decoder(root, "decoder");
  Corpus utf8(root, "utf8");
  for (const codec::GoldenFile& file : codec::load_golden_files()) {
    for (const codec::GoldenCase& golden : file.cases) {
      if (golden.bytes.size() > 2000) continue;
      decoder.add(first_byte(golden) + golden.bytes);
      utf8.add(golden.bytes.substr(golden.bytes.size() / 3));
    }
  }
  utf8.add("a/b/c/long/topic/name/of/ascii");
  utf8.add("\xEF\xBB\xBF/\xC3\xA9/\xE6\xB8\xA9/\xF0\x9F\x8C\xA1");
}

void write_filter(const std::filesystem::path& root) {
  Corpus filter(root, "filter");
  filter.add("+a/+\n+a/b\n+#\n!\na/b\n-a/+\na/b\n$SYS/x\n-#\na");
  filter.add("+$share/g/a/#\n+$share//a\n+$share/g\n+$oshare/g/a\na\na/b/c");
  filter.add("++/+\n+/+\n+//\n+$SYS/#\n/a\n//\n$SYS/a\n+a#\n+a/#/b\n+b+");
}

}  // namespace
}  // namespace skald::fuzz

int main(int argc, char** argv) {
  if (argc != 2) {
    std::fprintf(stderr, "usage: fuzz_seeds FOLDER\n");
    return 2;
  }
  skald::fuzz::write_decoder_and_utf8(argv[1]);
  skald::fuzz::write_filter(argv[1]);
  return 0;
}
