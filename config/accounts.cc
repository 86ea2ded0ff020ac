#include "config/accounts.h"

#include <algorithm>

#include "config/keys.h"
#include "config/limits.h"

namespace skald::config {
namespace {

struct UserRow {
  std::string_view name;
  std::string UserOptions::*text = nullptr;
  std::optional<std::vector<std::string>> UserOptions::*list = nullptr;
  std::string_view allowed;
  std::string_view meaning;
};

constexpr UserRow kUserRows[] = {
    {"name", &UserOptions::name, nullptr, "a string", "`user` or `tenant/user`; as in CONNECT"},
    {"password", &UserOptions::password, nullptr, "a string",
     "its hash, from `skald passwd`; `mosquitto_passwd` makes good ones too"},
    {"tenant", &UserOptions::tenant, nullptr, "a string",
     "the user's tenant; without it that of the name, or `default`"},
    {"publish", nullptr, &UserOptions::publish, "an array of strings",
     "topic filters the user may publish to; one that begins with `!` denies, and wins"},
    {"subscribe", nullptr, &UserOptions::subscribe, "an array of strings",
     "filters that may be subscribed to, and narrower ones"},
    {"receive", nullptr, &UserOptions::receive, "an array of strings",
     "topics that are delivered; without it those of `subscribe`"},
};

constexpr std::string_view kProfile = "profile";

std::string cut(std::string_view text) { return std::string(text.substr(0, kMaxShownBytes)); }

/// One line, so that it can be printed and loaded again; the rest is judged by mqtt/auth.
bool is_printable(const std::string& text) {
  return std::all_of(text.begin(), text.end(),
                     [](char c) { return static_cast<unsigned char>(c) >= 0x20 && c != 0x7f; });
}

bool is_tenant_key(std::string_view name) {
  return !name.empty() && std::all_of(name.begin(), name.end(), [](char c) {
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '_' ||
           c == '-' || c == '.';
  });
}

std::string must_be(const Setting& setting, std::string_view what) {
  return setting.origin + ": " + cut(setting.name) + ": must be " + std::string(what);
}

bool set_user(UserOptions& user, const Setting& setting, std::vector<std::string>& errors) {
  const auto* row = std::find_if(std::begin(kUserRows), std::end(kUserRows),
                                 [&setting](const UserRow& r) { return r.name == setting.name; });
  if (row == std::end(kUserRows)) {
    errors.push_back(setting.origin + ": [[user]] unknown key " + cut(setting.name) +
                     "; keys are name, password, tenant, publish, subscribe, receive");
    return false;
  }
  if (row->text != nullptr) {
    const auto* text = std::get_if<std::string>(&setting.value);
    const bool good =
        text != nullptr && !text->empty() && text->size() <= kMaxNameBytes && is_printable(*text);
    if (good) user.*(row->text) = *text;
    // Never the value: it may be a password.
    if (!good) errors.push_back(must_be(setting, "a string of 1 to 1024 printable bytes"));
    return good;
  }
  const auto* list = std::get_if<StringList>(&setting.value);
  const bool good = list != nullptr && list->size() <= kMaxRules &&
                    std::all_of(list->begin(), list->end(), is_printable);
  if (good) user.*(row->list) = *list;
  if (!good) errors.push_back(must_be(setting, "an array of at most 10000 topic filters"));
  return good;
}

void set_tenant(TenantOptions& tenant, const Setting& setting, std::vector<std::string>& errors) {
  if (setting.name == kProfile) return;  // taken before
  const std::span<const TenantRow> rows = tenant_rows();
  const auto row = std::find_if(rows.begin(), rows.end(),
                                [&setting](const TenantRow& r) { return r.name == setting.name; });
  if (row == rows.end()) {
    errors.push_back(setting.origin + ": [tenant." + tenant.name + "] unknown key " +
                     cut(setting.name));
    return;
  }
  std::optional<std::int64_t> value;
  if (const auto* flag = std::get_if<bool>(&setting.value); flag != nullptr && row->boolean) {
    value = *flag ? 1 : 0;
  } else if (const auto* number = std::get_if<std::int64_t>(&setting.value);
             number && !row->boolean) {
    value = *number;
  }
  if (!value || *value < row->min || *value > row->max) {
    errors.push_back(must_be(setting, row->boolean ? "true or false"
                                                   : "an integer from " + std::to_string(row->min) +
                                                         " to " + std::to_string(row->max)));
    return;
  }
  tenant.settings.set(static_cast<TenantKey>(row - rows.begin()), *value);
}

TenantOptions new_tenant(const std::string& name, std::size_t which, const Settings& settings,
                         std::vector<std::string>& errors) {
  TenantOptions tenant{.name = name, .settings = TenantSettings()};
  for (const Setting& setting : settings.all) {
    if (setting.section != kTenantSection || setting.listener != which) continue;
    if (setting.name != kProfile) continue;
    const auto* text = std::get_if<std::string>(&setting.value);
    const auto* found = std::find(std::begin(kTenantProfiles), std::end(kTenantProfiles),
                                  text == nullptr ? std::string() : *text);
    if (found == std::end(kTenantProfiles)) {
      errors.push_back(must_be(setting, "one of \"home\" \"iot\" \"bifromq\""));
    } else {
      tenant.settings =
          TenantSettings(static_cast<TenantProfile>(found - std::begin(kTenantProfiles)));
    }
  }
  return tenant;
}

std::string list_text(const std::vector<std::string>& list) {
  std::string out = "[";
  for (const std::string& one : list) out.append(out.size() > 1 ? ", " : "").append(quoted(one));
  return out + "]";
}

}  // namespace

bool is_account_section(std::string_view section) {
  return section == kUserSection || section == kTenantSection;
}

AccountTables::AccountTables(const Settings& settings, std::vector<std::string>& errors) {
  if (settings.users.size() > kMaxUsers || settings.tenants.size() > kMaxTenants) {
    errors.push_back("at most " + std::to_string(kMaxUsers) + " users and " +
                     std::to_string(kMaxTenants) + " tenants can stand in the file");
    return;
  }
  for (const std::string& place : settings.users) {
    users.emplace_back().place.text = place;
  }
  for (std::size_t i = 0; i < settings.tenants.size(); ++i) {
    if (!is_tenant_key(settings.tenants[i])) {
      errors.push_back("[tenant." + cut(settings.tenants[i]) +
                       "]: a tenant's name is made of letters, digits, _, - and .");
    }
    tenants.push_back(new_tenant(settings.tenants[i], i, settings, errors));
  }
  std::vector<bool> broken(users.size());
  for (const Setting& setting : settings.all) {
    if (setting.section == kUserSection) {
      if (!set_user(users[setting.listener], setting, errors)) broken[setting.listener] = true;
    } else if (setting.section == kTenantSection) {
      set_tenant(tenants[setting.listener], setting, errors);
    }
  }
  for (std::size_t i = 0; i < users.size(); ++i) {
    if (broken[i] || (!users[i].name.empty() && !users[i].password.empty())) continue;
    errors.push_back(users[i].place.text + ": [[user]] needs a name and a password");
  }
  std::sort(tenants.begin(), tenants.end(),
            [](const TenantOptions& a, const TenantOptions& b) { return a.name < b.name; });
}

std::string print_accounts(const Options& options) {
  std::string out;
  for (const UserOptions& user : options.users) {
    out.append("\n[[user]]  # ").append(user.place.text).append("\n");
    for (const UserRow& row : kUserRows) {
      if (row.text != nullptr && !(user.*(row.text)).empty()) {
        out.append(row.name).append(" = ").append(quoted(user.*(row.text))).append("\n");
      } else if (row.list != nullptr && user.*(row.list)) {
        out.append(row.name).append(" = ").append(list_text(*(user.*(row.list)))).append("\n");
      }
    }
  }
  for (const TenantOptions& tenant : options.tenants) {
    const TenantSettings plain(tenant.settings.profile());
    out.append("\n[tenant.").append(quoted(tenant.name)).append("]\nprofile = ");
    out.append(quoted(kTenantProfiles[static_cast<std::size_t>(plain.profile())])).append("\n");
    const std::span<const TenantRow> rows = tenant_rows();
    for (std::size_t i = 0; i < rows.size(); ++i) {
      const std::int64_t value = tenant.settings.get(static_cast<TenantKey>(i));
      if (value == plain.get(static_cast<TenantKey>(i))) continue;
      out.append(rows[i].name).append(" = ");
      out.append(!rows[i].boolean ? std::to_string(value) : value != 0 ? "true" : "false");
      out.append("\n");
    }
  }
  return out;
}

std::string account_reference() {
  std::string out = "\n**`[[user]]`**\n\n| key | allowed | what it does |\n|---|---|---|\n";
  for (const UserRow& row : kUserRows) {
    out.append("| `").append(row.name).append("` | ").append(row.allowed).append(" | ");
    out.append(row.meaning).append(" |\n");
  }
  out +=
      "\n**`[tenant.<name>]`**: `profile`, one of \"home\" (default), \"iot\", \"bifromq\", and\n\n"
      "| key | home | iot | bifromq | | what it does |\n|---|---|---|---|---|---|\n";
  for (const TenantRow& row : tenant_rows()) {
    out.append("| `").append(row.name).append("` |");
    for (const std::int64_t value : row.defaults) {
      out.append(" ");
      out.append(!row.boolean ? std::to_string(value) : value != 0 ? "true" : "false").append(" |");
    }
    out.append(row.standing == Standing::honoured ? " " : " taken with a warning, of no effect ");
    out.append("| ").append(row.meaning).append(" |\n");
  }
  return out;
}

}  // namespace skald::config
