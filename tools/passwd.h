// `skald passwd`: makes the hash of a password, and keeps password files.
#pragma once

#include <CLI/CLI.hpp>
#include <cstdint>
#include <string>

namespace skald::tools {

struct PasswdArguments {
  std::string user;
  std::string file;  // empty: print an entry
  bool from_stdin = false;
  bool remove = false;
  bool pbkdf2 = false;
  std::uint32_t memory_kib = 19 * 1024;
  std::uint32_t passes = 2;
};

CLI::App* add_passwd_command(CLI::App& app, PasswdArguments& arguments);
/// Returns the exit code.
int run_passwd(const PasswdArguments& arguments);

}  // namespace skald::tools
