#include "mqtt/auth/mosquitto_files.h"

#include <utility>

namespace skald::auth {

namespace {

constexpr std::size_t kMaxErrors = 50;

std::string_view trimmed(std::string_view text) {
  constexpr std::string_view kSpace = " \t\r";
  const std::size_t first = text.find_first_not_of(kSpace);
  if (first == std::string_view::npos) return {};
  return text.substr(first, text.find_last_not_of(kSpace) - first + 1);
}

/// Lines that say something, with their numbers; collects what is wrong with them.
class Lines {
 public:
  Lines(const std::string& file, std::string_view text) : file_(file), rest_(text) {}

  bool next(std::string_view& line) {
    while (!rest_.empty()) {
      const std::size_t end = rest_.find('\n');
      line = trimmed(rest_.substr(0, end));
      rest_.remove_prefix(end == std::string_view::npos ? rest_.size() : end + 1);
      ++number_;
      if (line.find('\0') != std::string_view::npos) {
        fail("holds a NUL byte");
      } else if (!line.empty() && line.front() != '#') {
        return true;
      }
    }
    return false;
  }

  std::string place() const { return file_ + ":" + std::to_string(number_); }
  void fail(std::string_view what) {
    if (++errors_ > kMaxErrors) return;
    message_.append(message_.empty() ? "" : "\n").append(place()).append(": ").append(what);
  }
  bool failed() const { return errors_ > 0; }
  Error error() const {
    if (errors_ <= kMaxErrors) return Error{message_};
    return Error{message_ + "\nand " + std::to_string(errors_ - kMaxErrors) + " more"};
  }

 private:
  const std::string& file_;
  std::string_view rest_;
  std::size_t number_ = 0;
  std::size_t errors_ = 0;
  std::string message_;
};

/// The first word of `rest`, taken off it.
std::string_view word(std::string_view& rest) {
  const std::size_t end = rest.find_first_of(" \t");
  const std::string_view first = rest.substr(0, end);
  rest = end == std::string_view::npos ? std::string_view{} : trimmed(rest.substr(end));
  return first;
}

void add_rule(RuleSet& to, std::string_view access, std::string_view filter) {
  to.subscribe_by_overlap = true;
  const Rule rule{.filter = std::string(filter), .deny = access == "deny"};
  if (access != "read") to.publish.push_back(rule);
  if (access == "write") return;
  to.subscribe.push_back(rule);
  to.receive.push_back(rule);
}

/// What follows `topic` or `pattern`.
void parse_rule(Lines& lines, std::string_view rest, RuleSet& to) {
  std::string_view filter = rest;
  std::string_view access = word(filter);
  if (filter.empty()) {
    filter = std::exchange(access, "readwrite");
  } else if (access != "read" && access != "write" && access != "readwrite" && access != "deny") {
    lines.fail("access must be read, write, readwrite or deny");
    return;
  }
  if (const std::string_view problem = rule_problem(filter); !problem.empty()) {
    lines.fail("topic: " + std::string(problem));
    return;
  }
  add_rule(to, access, filter);
}

}  // namespace

Result<std::vector<Account>> parse_password_file(const std::string& file, std::string_view text) {
  Lines lines(file, text);
  std::vector<Account> accounts;
  for (std::string_view line; lines.next(line);) {
    const std::size_t colon = line.find(':');
    if (colon == std::string_view::npos || colon == 0) {
      lines.fail("must be name:hash");
      continue;
    }
    Account account{.origin = lines.place(),
                    .login = std::string(line.substr(0, colon)),
                    .identity = nullptr,
                    .password = {},
                    .rules = std::nullopt};
    const Result<PasswordHash> hash = PasswordHash::parse(line.substr(colon + 1));
    if (!hash) {
      lines.fail(hash.error().message);
      continue;
    }
    account.password = *hash;
    const Result<IdentityRef> identity = make_identity(account.login, {}, *hash);
    if (!identity) {
      lines.fail(identity.error().message);
      continue;
    }
    account.identity = *identity;
    accounts.push_back(std::move(account));
  }
  if (lines.failed()) return lines.error();
  return accounts;
}

Result<AccessList> parse_acl_file(const std::string& file, std::string_view text) {
  Lines lines(file, text);
  AccessList list;
  list.anonymous.subscribe_by_overlap = true;
  list.everyone.subscribe_by_overlap = true;
  RuleSet* user = &list.anonymous;
  for (std::string_view line; lines.next(line);) {
    std::string_view rest = line;
    const std::string_view kind = word(rest);
    if (rest.empty() && (kind == "user" || kind == "topic" || kind == "pattern")) {
      lines.fail("something must follow " + std::string(kind));
    } else if (kind == "user") {
      user = &list.users[std::string(rest)];
      user->subscribe_by_overlap = true;
    } else if (kind == "topic") {
      parse_rule(lines, rest, *user);
    } else if (kind == "pattern") {
      parse_rule(lines, rest, list.everyone);
    } else {
      lines.fail("must begin with user, topic or pattern");
    }
  }
  if (lines.failed()) return lines.error();
  return list;
}

}  // namespace skald::auth
