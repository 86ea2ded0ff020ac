#include "tests/codec/golden.h"

#include <algorithm>
#include <cstdio>
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <sstream>

namespace skald::codec {
namespace {

[[noreturn]] void give_up(const std::string& what) {
  std::fprintf(stderr, "golden frames: %s\n", what.c_str());
  std::exit(1);
}

/// One word of `hex:` at `at`, which it moves behind it.
std::string parse_word(const std::string& text, std::size_t& at) {
  if (text[at] == '\'') {
    const std::size_t end = text.find('\'', at + 1);
    if (end == std::string::npos) give_up("open quote in " + text);
    const std::string word = text.substr(at + 1, end - at - 1);
    at = end + 1;
    return word;
  }
  const std::size_t end = std::min(text.find(' ', at), text.size());
  const std::size_t star = std::min(text.find('*', at), end);
  std::string word;
  for (std::size_t i = at; i + 1 < star; i += 2) {
    word += static_cast<char>(std::stoi(text.substr(i, 2), nullptr, 16));
  }
  if ((star - at) % 2 != 0) give_up("half a byte in " + text);
  if (star != end) word = std::string(std::stoul(text.substr(star + 1, end - star - 1)), word[0]);
  at = end;
  return word;
}

std::string parse_hex(const std::string& text) {
  std::string bytes;
  for (std::size_t at = 0; at < text.size();) {
    if (text[at] == ' ') {
      ++at;
    } else {
      bytes += parse_word(text, at);
    }
  }
  return bytes;
}

Version parse_version(const std::string& text) {
  if (text == "3.1") return Version::v31;
  if (text == "3.1.1") return Version::v311;
  if (text == "5.0") return Version::v5;
  give_up("version " + text);
}

GoldenCase parse_case(const std::vector<std::string>& lines, const std::string& file) {
  GoldenCase result;
  std::string hex, title, version;
  for (const std::string& line : lines) {
    const std::size_t colon = line.find(": ");
    const std::string key = line.substr(0, std::min(colon, line.size()));
    const std::string value = colon == std::string::npos ? "" : line.substr(colon + 2);
    if (line.starts_with("  + ")) hex += " " + line.substr(4);
    if (key == "case") title = value;
    if (key == "version") version = value;
    if (key == "hex") hex = value;
    if (key == "from") result.side = value == "server" ? Side::server : Side::client;
    if (key == "decoded") result.decoded = value;
    if (key == "encoded") result.encoded = value;
    if (key != "decoded" && key != "encoded") result.input_lines.push_back(line);
  }
  result.version = parse_version(version);
  result.where = file + ": " + title + ", " + version;
  result.bytes = parse_hex(hex);
  return result;
}

GoldenFile load(const std::filesystem::path& path) {
  GoldenFile file;
  file.path = path.string();
  std::ifstream in(path);
  std::vector<std::string> lines;
  const auto flush = [&file, &lines, &path] {
    if (!lines.empty()) file.cases.push_back(parse_case(lines, path.filename().string()));
    lines.clear();
  };
  for (std::string line; std::getline(in, line);) {
    if (line.starts_with("#")) {
      file.comments.push_back(line);
    } else if (line.empty()) {
      flush();
    } else {
      lines.push_back(line);
    }
  }
  flush();
  if (file.cases.empty()) give_up("no case in " + file.path);
  return file;
}

}  // namespace

std::vector<GoldenFile> load_golden_files() {
  std::vector<std::filesystem::path> paths;
  const std::string folder = SKALD_SOURCE_ROOT "/tests/golden/mqtt";
  for (const auto& entry : std::filesystem::directory_iterator(folder)) {
    if (entry.path().extension() == ".txt") paths.push_back(entry.path());
  }
  std::sort(paths.begin(), paths.end());
  std::vector<GoldenFile> files;
  for (const auto& path : paths) files.push_back(load(path));
  if (files.empty()) give_up("no file in " + folder);
  return files;
}

void save_golden_file(const GoldenFile& file) {
  std::ofstream out(file.path);
  for (const std::string& line : file.comments) out << line << "\n";
  for (const GoldenCase& one : file.cases) {
    out << "\n";
    for (const std::string& line : one.input_lines) out << line << "\n";
    out << "decoded: " << one.decoded << "\n";
    if (!one.encoded.empty()) out << "encoded: " << one.encoded << "\n";
  }
  if (!out.flush()) give_up("cannot write " + file.path);
}

}  // namespace skald::codec
