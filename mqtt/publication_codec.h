// A publication inside a command or a stored record (pieces of config/base/coding.h):
//   u8 qos | retain << 2 | be64 publisher's node | varint life | varint session | varint sequence
//   varint trace id | varint stamp_ms | varint expiry_ms
//   bytes tenant | bytes topic | bytes properties | bytes payload
// It has no version of its own: what it is a part of has one.
#pragma once

#include <string>

#include "config/base/coding.h"
#include "mqtt/publication.h"

namespace skald::mqtt {

void put_publication(std::string& out, const Publication& publication);

/// Null, and the reader has failed, when this is not what put_publication wrote. The tenant and the
/// topic are taken as they are: whoever uses them checks them.
PublicationRef read_publication(Reader& reader);

}  // namespace skald::mqtt
