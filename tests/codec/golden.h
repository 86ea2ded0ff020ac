// Golden frames: tests/golden/mqtt/*.txt.
//
// Comments, then cases with an empty line between:
//   case: name
//   clause: where the specification says so
//   version: the version that the connection speaks (CONNECT carries its own)
//   from: server            left out for a client
//   hex: 10 0c 0004 'MQTT'  pairs of digits, text in quotes, 78*20 for twenty times 78;
//     + continued
//   decoded: what print() makes of it, or the error
//   encoded: "same", or the bytes that the decoded packet encodes to; left out after an error
#pragma once

#include <string>
#include <vector>

#include "mqtt/codec/types.h"
#include "tests/codec/oracle.h"

namespace skald::codec {

struct GoldenCase {
  std::string where;  // file: case, version
  std::vector<std::string> input_lines;
  Version version = Version::v311;
  Side side = Side::client;
  std::string bytes;
  std::string decoded;
  std::string encoded;
};

struct GoldenFile {
  std::string path;
  std::vector<std::string> comments;
  std::vector<GoldenCase> cases;
};

/// All files, by name. Aborts with a message on a file that it cannot read.
std::vector<GoldenFile> load_golden_files();

/// Writes the file again with the cases' `decoded` and `encoded`.
void save_golden_file(const GoldenFile& file);

}  // namespace skald::codec
