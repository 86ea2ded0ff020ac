// The precompiled header of actors/: CAF's headers are most of what its files compile.
#include <spdlog/spdlog.h>

#include <caf/actor.hpp>
#include <caf/actor_system.hpp>
#include <caf/actor_system_config.hpp>
#include <caf/event_based_actor.hpp>
#include <caf/send.hpp>
#include <caf/stateful_actor.hpp>
#include <memory>
#include <string>
#include <vector>
