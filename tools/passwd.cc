#include "tools/passwd.h"

#include <fcntl.h>
#include <sys/random.h>
#include <sys/stat.h>
#include <termios.h>
#include <unistd.h>

#include <cerrno>
#include <cstdio>
#include <cstring>
#include <optional>
#include <sstream>
#include <string>

#include "config/file.h"
#include "config/keys.h"
#include "mqtt/auth/directory.h"
#include "mqtt/auth/password.h"

namespace skald::tools {

namespace {

/// The iterations that mosquitto_passwd of today would want; its default of 101 is too few.
constexpr std::uint32_t kIterations = 210'000;

/// What is typed is not shown while this lives.
class WithoutEcho {
 public:
  WithoutEcho() : terminal_(tcgetattr(STDIN_FILENO, &old_) == 0) {
    if (!terminal_) return;
    termios quiet = old_;
    quiet.c_lflag &= ~static_cast<tcflag_t>(ECHO);
    tcsetattr(STDIN_FILENO, TCSAFLUSH, &quiet);
  }
  ~WithoutEcho() {
    if (terminal_) tcsetattr(STDIN_FILENO, TCSAFLUSH, &old_);
  }
  WithoutEcho(const WithoutEcho&) = delete;
  WithoutEcho& operator=(const WithoutEcho&) = delete;

 private:
  termios old_{};
  bool terminal_;
};

/// One line of standard input, without its end; nothing at its end.
std::optional<std::string> read_line() {
  std::string line;
  for (int c = std::getchar(); c != EOF; c = std::getchar()) {
    if (c == '\n') return line;
    line.push_back(static_cast<char>(c));
  }
  if (line.empty()) return std::nullopt;
  return line;
}

std::optional<std::string> ask(const char* prompt) {
  std::fprintf(stderr, "%s: ", prompt);
  const WithoutEcho quiet;
  std::optional<std::string> line = read_line();
  std::fputc('\n', stderr);
  return line;
}

Result<std::string> read_password(const PasswdArguments& arguments) {
  if (arguments.from_stdin || isatty(STDIN_FILENO) == 0) {
    if (auto line = read_line()) return *line;
    return Error{"no password on standard input"};
  }
  const auto first = ask("Password");
  const auto second = ask("Again");
  if (!first || !second || *first != *second) return Error{"the two differ"};
  return *first;
}

Result<auth::PasswordHash> make_hash(const PasswdArguments& arguments) {
  Result<std::string> password = read_password(arguments);
  if (!password) return password.error();
  if (password->empty()) return Error{"an empty password protects nothing"};
  std::string salt(auth::PasswordHash::kSaltBytes, '\0');
  if (getrandom(salt.data(), salt.size(), 0) != static_cast<ssize_t>(salt.size())) {
    return Error{std::string("no random bytes: ") + std::strerror(errno)};
  }
  if (arguments.pbkdf2) return auth::PasswordHash::pbkdf2(*password, salt, kIterations);
  return auth::PasswordHash::argon2id(
      *password, salt, {.memory_kib = arguments.memory_kib, .passes = arguments.passes});
}

/// The file's lines but those of the user; empty when there is no file yet.
Result<std::string> other_lines(const PasswdArguments& arguments, bool& found) {
  if (access(arguments.file.c_str(), F_OK) != 0 && errno == ENOENT) return std::string();
  const auto file = config::read_config_file(arguments.file, config::kMaxAccountFileBytes);
  if (!file) return file.error();
  std::istringstream lines(file->text);
  std::string kept;
  for (std::string line; std::getline(lines, line);) {
    if (line.starts_with(arguments.user + ":")) {
      found = true;
    } else {
      kept.append(line).append("\n");
    }
  }
  return kept;
}

/// Whole or not at all: a node that reloads meanwhile must not read half a file.
Status replace_file(const std::string& path, const std::string& text) {
  const auto failed = [&path](const char* what) {
    return Error{path + ": cannot " + what + ": " + std::strerror(errno)};
  };
  struct stat old {};
  const bool existed = stat(path.c_str(), &old) == 0;
  const std::string next = path + ".new";
  const int fd = open(next.c_str(), O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC | O_NOFOLLOW, 0600);
  if (fd < 0) return failed("write beside it");
  // As whoever set it up wanted it: the node may run as another user.
  bool good = !existed || fchown(fd, old.st_uid, old.st_gid) == 0 || errno == EPERM;
  good = good && (!existed || fchmod(fd, old.st_mode & 0777) == 0);
  for (std::size_t at = 0; good && at < text.size();) {
    const ssize_t n = write(fd, text.data() + at, text.size() - at);
    good = n > 0;
    if (good) at += static_cast<std::size_t>(n);
  }
  good = good && fsync(fd) == 0;
  close(fd);
  if (good && std::rename(next.c_str(), path.c_str()) == 0) return {};
  const Error error = failed("write");
  unlink(next.c_str());
  return error;
}

Status run(const PasswdArguments& arguments) {
  if (arguments.user.empty() || arguments.user.find_first_of(":\n\r") != std::string::npos) {
    return Error{"a user name must not be empty, nor hold a colon"};
  }
  bool found = false;
  Result<std::string> lines = std::string();
  if (!arguments.file.empty()) {
    lines = other_lines(arguments, found);
    if (!lines) return lines.error();
  }
  if (arguments.remove) {
    if (arguments.file.empty()) return Error{"--delete needs --file"};
    if (!found) return Error{arguments.file + ": no user " + arguments.user};
    return replace_file(arguments.file, *lines);
  }
  const auto hash = make_hash(arguments);
  if (!hash) return hash.error();
  const auto identity = auth::make_identity(arguments.user, {}, *hash);
  if (!identity) return identity.error();
  if (!arguments.file.empty()) {
    return replace_file(arguments.file, *lines + arguments.user + ":" + hash->text() + "\n");
  }
  std::printf("[[user]]\nname = %s\npassword = %s\n", config::quoted(arguments.user).c_str(),
              config::quoted(hash->text()).c_str());
  return {};
}

}  // namespace

CLI::App* add_passwd_command(CLI::App& app, PasswdArguments& arguments) {
  CLI::App* command = app.add_subcommand("passwd", "hash a password for a user");
  command->add_option("user", arguments.user, "user, or tenant/user")->required();
  command->add_option("--file", arguments.file,
                      "password file to write it to; without it a [[user]] table is printed");
  command->add_flag("--delete", arguments.remove, "take the user out of the file");
  command->add_flag("--stdin", arguments.from_stdin, "read the password from standard input");
  command->add_flag("--pbkdf2", arguments.pbkdf2, "a hash that Mosquitto can read too");
  command->add_option("--memory", arguments.memory_kib, "KiB of memory that a hash takes")
      ->check(CLI::Range(8, 1 << 20));
  command->add_option("--passes", arguments.passes, "passes over that memory")
      ->check(CLI::Range(1, 64));
  return command;
}

int run_passwd(const PasswdArguments& arguments) {
  const Status done = run(arguments);
  if (done) return 0;
  std::fprintf(stderr, "%s\n", config::escaped(done.error().message).c_str());
  return 1;
}

}  // namespace skald::tools
