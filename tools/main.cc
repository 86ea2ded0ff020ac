// The one binary: `skald node` serves, `skald passwd` makes password entries, `skald bench` loads a
// broker; later `console` and `ctl`.
#include <unistd.h>

#include <CLI/CLI.hpp>
#include <cstdio>
#include <cstdlib>
#include <optional>
#include <string>
#include <string_view>

#include "actors/node.h"
#include "config/file.h"
#include "config/limits.h"
#include "config/load.h"
#include "mqtt/auth/load_directory.h"
#include "tools/bench/cli.h"
#include "tools/passwd.h"

extern char** environ;  // NOLINT: POSIX names it so

namespace {

struct NodeArguments {
  std::optional<std::string> config;
  std::optional<std::string> port;
  std::optional<std::string> data;
  bool check = false;
  bool print_config = false;
};

void add_node_command(CLI::App& app, NodeArguments& arguments) {
  CLI::App* node = app.add_subcommand("node", "serve MQTT clients");
  node->add_option("--config", arguments.config, "TOML file; every key has a default");
  node->add_option("--port", arguments.port, "listen on 127.0.0.1:PORT only");
  node->add_option("--data", arguments.data, "directory for state; without it, in memory");
  node->add_flag("--check", arguments.check, "only check the configuration");
  node->add_flag("--print-config", arguments.print_config,
                 "print what is effective and where each value comes from");
}

skald::Result<std::string> read_file(const std::string& path) {
  auto file = skald::config::read_config_file(path, skald::config::kMaxAccountFileBytes);
  if (!file) return file.error();
  return std::move(file->text);
}

skald::Result<skald::config::Loaded> load(const NodeArguments& arguments) {
  skald::config::LoadRequest request;
  if (arguments.config) {
    auto file = skald::config::read_config_file(*arguments.config);
    if (!file) return file.error();
    request.file = std::move(*file);
  }
  for (char** entry = environ; *entry != nullptr; ++entry) {
    const std::string variable(*entry);
    const std::size_t equals = variable.find('=');
    if (equals == std::string::npos) continue;
    request.environment.emplace_back(variable.substr(0, equals), variable.substr(equals + 1));
  }
  request.port = arguments.port;
  if (arguments.data) {
    request.overrides.push_back({"--data", "node", "data_dir", *arguments.data});
  }
  return skald::config::load(request);
}

/// How systemd tells a service whom to notify: sd_notify(3), sd_watchdog_enabled(3).
skald::actors::Supervision supervision() {
  skald::actors::Supervision found;
  if (const char* socket = std::getenv("NOTIFY_SOCKET")) found.socket = socket;
  const char* watched = std::getenv("WATCHDOG_PID");
  const char* period = std::getenv("WATCHDOG_USEC");
  if (period != nullptr && (watched == nullptr || std::atoll(watched) == getpid())) {
    found.watchdog_us = std::strtoull(period, nullptr, 10);
  }
  return found;
}

int run_node(const NodeArguments& arguments) {
  const auto loaded = load(arguments);
  if (!loaded) {
    std::fprintf(stderr, "%s\n", loaded.error().message.c_str());
    return 1;
  }
  if (arguments.check) {
    const auto users = skald::auth::load_directory(loaded->options, read_file, 0, 0);
    if (!users) {
      std::fprintf(stderr, "%s\n", users.error().message.c_str());
      return 1;
    }
  }
  if (arguments.print_config) std::fputs(skald::config::print_config(*loaded).c_str(), stdout);
  if (arguments.check) std::puts("configuration ok");
  if (arguments.check || arguments.print_config) return 0;
  return skald::actors::run_node(
      loaded->options,
      [&arguments]() -> skald::Result<skald::config::Options> {
        auto again = load(arguments);
        if (!again) return again.error();
        return std::move(again->options);
      },
      supervision());
}

}  // namespace

int main(int argc, char** argv) {
  // It has a command line of its own, with a help of its own.
  if (argc > 1 && std::string_view(argv[1]) == "bench") {
    return skald::bench::bench_main(argc - 1, argv + 1);
  }
  CLI::App app("Skald, a distributed MQTT broker", "skald");
  app.require_subcommand(1);
  app.set_version_flag("--version", "skald " SKALD_VERSION);
  NodeArguments node;
  add_node_command(app, node);
  skald::tools::PasswdArguments passwd;
  const CLI::App* passwd_command = skald::tools::add_passwd_command(app, passwd);
  app.add_subcommand("bench", "load an MQTT broker, measure it and check what arrives");
  try {
    app.parse(argc, argv);
  } catch (const CLI::ParseError& error) {
    return app.exit(error) == 0 ? 0 : 1;  // --help and --version end here too
  }
  if (passwd_command->parsed()) return skald::tools::run_passwd(passwd);
  return run_node(node);
}
