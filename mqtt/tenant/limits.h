// From what an operator writes about a tenant to what its sessions may use.
//
// Pure. A tenant's setting narrows what [mqtt] allows to all, never widens it.
#pragma once

#include <string>
#include <vector>

#include "config/options.h"
#include "mqtt/session/limits.h"

namespace skald::tenant {

/// Of a client whose tenant is not known yet, or has no table of its own.
session::Limits node_limits(const config::MqttOptions& mqtt);
session::Limits limits_of(const config::MqttOptions& mqtt, const config::TenantSettings& tenant);
/// What is set and of no effect, one line a tenant.
std::vector<std::string> warnings(const config::Options& options);

}  // namespace skald::tenant
