#include "mqtt/auth/judge.h"

#include <absl/hash/hash.h>

#include <algorithm>
#include <utility>

namespace skald::auth {

void Judge::set_directory(DirectoryRef directory) {
  directory_ = std::move(directory);
  version_ = directory_ ? directory_->version() : 0;
  by_user_.clear();
  verdicts_.clear();
}

RightsRef Judge::compile(const Identity& identity, std::string_view client_id) {
  const std::vector<const RuleSet*> rules =
      directory_ ? directory_->rules_of(identity) : std::vector<const RuleSet*>{};
  const bool own = std::any_of(rules.begin(), rules.end(),
                               [](const RuleSet* set) { return names_client(*set); });
  const auto make = [&] {
    ++counters_.compiled;
    return std::make_shared<const Rights>(rules, identity.user, client_id, version_,
                                          ++last_serial_);
  };
  if (own) return make();
  std::string key = identity.tenant;
  key.push_back('\0');
  RightsRef& shared = by_user_[key.append(identity.user)];
  if (!shared) shared = make();
  return shared;
}

const Rights& Judge::rights_of(Access& access, std::string_view client_id) {
  if (!access.rights || access.rights->version() != version_) {
    access.rights = compile(*access.identity, client_id);
  }
  return *access.rights;
}

bool Judge::look_up(Access& access, Action action, std::string_view client_id,
                    std::string_view topic) {
  const Rights& rights = rights_of(access, client_id);
  if (rights.everything()) return true;
  if (topic.size() > kMaxCachedTopic) {
    ++counters_.judged;
    return rights.allows(action, topic);
  }
  if (verdicts_.empty()) verdicts_.resize(kVerdicts);
  const std::size_t slot =
      absl::HashOf(rights.serial(), static_cast<int>(action), topic) % kVerdicts;
  Verdict& verdict = verdicts_[slot];
  if (verdict.serial != rights.serial() || verdict.action != action || verdict.topic != topic) {
    ++counters_.judged;
    verdict.allowed = rights.allows(action, topic);
    verdict.serial = rights.serial();
    verdict.action = action;
    verdict.topic.assign(topic);
  }
  return verdict.allowed;
}

bool Judge::may(const Identity& identity, Action action, std::string_view client_id,
                std::string_view topic) {
  return compile(identity, client_id)->allows(action, topic);
}

}  // namespace skald::auth
