// What a client may do: rules as an operator writes them, and the rights compiled from them.
//
// A rule is a topic filter that allows or denies. What no rule allows is refused; a rule that
// denies wins over all that allow, wherever it stands. `%c` and `%u` in a filter stand for the
// client identifier and the user name and can never widen it: with a name that is empty, holds `+`,
// `#`,
// `/` or NUL, or would begin the filter with `$`, a rule that allows matches nothing, and one that
// denies takes in everything from that level on.
#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

namespace skald::auth {

enum class Action : std::uint8_t { publish, subscribe, receive };

struct Rule {
  std::string filter;  // without $share/; %c and %u not yet replaced
  bool deny = false;

  bool operator==(const Rule&) const = default;
};

struct RuleSet {
  bool everything = false;            // no rule counts
  bool subscribe_by_overlap = false;  // see Rights::may_subscribe; as Mosquitto's ACL files mean it
  std::vector<Rule> publish{};
  std::vector<Rule> subscribe{};
  std::vector<Rule> receive{};

  bool operator==(const RuleSet&) const = default;
};

/// Empty: the filter is a good one for a rule. Else what is wrong with it.
std::string_view rule_problem(std::string_view filter);
/// True when some rule names the client identifier: rights differ between clients of one user.
bool names_client(const RuleSet& rules);

/// Immutable. Made when a client connects and when the rules have changed.
class Rights {
 public:
  /// `version`: of the directory that the rules come from. `serial`: unique among all Rights of the
  /// loop, so that a cache can tell them apart.
  Rights(std::span<const RuleSet* const> rules, std::string_view user, std::string_view client_id,
         std::uint64_t version, std::uint64_t serial);

  bool everything() const { return everything_; }
  std::uint64_t version() const { return version_; }
  std::uint64_t serial() const { return serial_; }

  /// `topic`: a topic name, or for Action::subscribe a filter without $share/.
  bool allows(Action action, std::string_view topic) const;

 private:
  struct Filters {
    std::vector<std::string> allow;
    std::vector<std::string> deny;
  };

  static void add(const std::vector<Rule>& rules, std::string_view user, std::string_view client_id,
                  Filters& to);
  static bool matched(const Filters& filters, std::string_view topic);
  bool may_subscribe(std::string_view filter) const;

  bool everything_ = false;
  bool subscribe_by_overlap_ = false;
  std::uint64_t version_;
  std::uint64_t serial_;
  Filters publish_;
  Filters subscribe_;
  Filters receive_;
};
using RightsRef = std::shared_ptr<const Rights>;

}  // namespace skald::auth
