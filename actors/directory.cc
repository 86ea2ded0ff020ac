#include <caf/stateful_actor.hpp>

#include "actors/service_actors.h"

namespace skald::actors {

namespace {

/// The loop of a session is in its id (PostOffice::next_session_id).
std::size_t loop_of(session::Directory::Owner owner) { return owner & 0xFF; }

void drain(caf::stateful_actor<DirectoryState>* self, const NodeState& node) {
  const session::Directory::Ready ready = self->state.core.take_ready();
  std::vector<DirectoryVerdicts> by_loop(node.post_offices.size());
  for (const auto owner : ready.granted) by_loop[loop_of(owner)].granted.push_back(owner);
  for (const auto owner : ready.overtaken) by_loop[loop_of(owner)].overtaken.push_back(owner);
  for (const auto owner : ready.evicted) by_loop[loop_of(owner)].evicted.push_back(owner);
  for (std::size_t loop = 0; loop < by_loop.size(); ++loop) {
    DirectoryVerdicts& verdicts = by_loop[loop];
    if (verdicts.granted.empty() && verdicts.overtaken.empty() && verdicts.evicted.empty())
      continue;
    self->send(node.post_offices[loop], std::move(verdicts));
  }
}

}  // namespace

caf::behavior directory(caf::stateful_actor<DirectoryState>* self, NodeState* node) {
  return {[self, node](const DirectoryChanges& changes) {
    for (const DirectoryChange& change : changes.changes) {
      if (change.kind == DirectoryChange::Kind::attach) {
        self->state.core.attach(change.tenant, change.client_id, change.session);
      } else {
        self->state.core.detach(change.tenant, change.client_id, change.session);
      }
    }
    drain(self, *node);
  }};
}

}  // namespace skald::actors
