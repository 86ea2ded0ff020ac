// Pieces that commands and stored records have in common (config/base/coding.h underneath).
//
// Reading never trusts the bytes: what does not fit fails the Reader, and the caller checks done().
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "config/base/coding.h"
#include "config/base/ids.h"
#include "mqtt/codec/packets.h"
#include "mqtt/inbox/types.h"
#include "mqtt/publication_codec.h"

namespace skald::inbox {

void put_life(std::string& out, Life life);
Life read_life(Reader& reader);

void put_owner(std::string& out, const Owner& owner);
Owner read_owner(Reader& reader);

void put_bool(std::string& out, bool value);
bool read_bool(Reader& reader);

/// Fails the reader above 2^32 - 1.
std::uint32_t read_u32(Reader& reader);

codec::QoS read_qos(Reader& reader);

/// How many things follow, each of at least one byte: never more than bytes are left.
std::size_t read_count(Reader& reader);

void put_ids(std::string& out, const std::vector<std::uint32_t>& ids);
std::vector<std::uint32_t> read_ids(Reader& reader);

void put_options(std::string& out, const codec::SubscriptionOptions& options);
codec::SubscriptionOptions read_options(Reader& reader);

void put_quota(std::string& out, const Quota& quota);
Quota read_quota(Reader& reader);

}  // namespace skald::inbox
