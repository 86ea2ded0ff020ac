// The stored records of dist: one for each route.
//
// Key, order-preserving and self-delimiting (pieces of config/base/coding.h):
//   ordered tenant | ordered filter | u8 kind | receiver
//   kind 1  node     be64 node | be64 life
//   kind 2  inbox    ordered client id
//   kind 3  member   ordered group | u8 1 | be64 node | be64 life | be64 session
//                    ordered group | u8 2 | ordered client id
// Value: u8 version (1), then
//   node             nothing
//   inbox            varint incarnation | u8 options | varint subscription id
//   session member   varint incarnation | u8 qos | be16 loop
//   inbox member     as inbox | varint attached | u8 online | be64 node | be64 life (when online)
// Options: qos | retain as published << 2 | no local << 3.
// All receivers of a filter, and all members of a group, are neighbours.
#pragma once

#include <optional>
#include <string>
#include <string_view>

#include "config/base/result.h"
#include "mqtt/dist/types.h"

namespace skald::dist {

/// The identity of a route: what its value holds is not part of it.
std::string route_key(const Route& route);

std::string route_value(const Route& route);

/// The reverse of route_key: what the value holds is zero.
Result<Route> decode_route_key(std::string_view key);

/// The reverse of route_key and route_value.
Result<Route> decode_route(std::string_view key, std::string_view value);

/// The beginning that all members of a group have in common, when `key` (a whole key or the
/// beginning of one) lies behind it, inside the group; absent otherwise.
std::optional<std::string> group_prefix(std::string_view key);

}  // namespace skald::dist
