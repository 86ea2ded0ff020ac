// The tables of users and tenants: `[[user]]` and `[tenant.<name>]`.
//
// They are lists of any length, so they are no rows of config/keys.cc; only a file can set them.
// Here it is checked that each key is known and its value has the right form. What a filter or a
// password hash may look like is judged where they are used, in mqtt/auth, with the place in hand.
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "config/options.h"
#include "config/setting.h"

namespace skald::config {

bool is_account_section(std::string_view section);

struct AccountTables {
  /// What is wrong lands in `errors`, one line each.
  AccountTables(const Settings& settings, std::vector<std::string>& errors);

  std::vector<UserOptions> users;
  std::vector<TenantOptions> tenants;
};

/// As TOML that loads to the same users and tenants.
std::string print_accounts(const Options& options);
/// The reference of these tables, in Markdown.
std::string account_reference();

}  // namespace skald::config
