// What a session has beside the rest when its state is in an inbox. Internal to mqtt/session.
#pragma once

#include <cstdint>
#include <vector>

#include "mqtt/session/accepted_publishes.h"
#include "mqtt/session/stored_flow.h"

namespace skald::session {

struct Persistent {
  StoredFlow out;
  AcceptedPublishes in;
  // To be committed, in the order in which it came.
  std::vector<inbox::Seq> finished;
  std::vector<inbox::Seq> received;
  std::vector<std::uint16_t> releases;
  std::uint32_t granted_expiry_s = 0;
  bool accepted_before = false;  // of the last Event::publish
};

}  // namespace skald::session
