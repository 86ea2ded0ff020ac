#include "tests/sim/store_rest.h"

namespace skald::sim {

StoreNode* leader_of(const StoreChecks::Nodes& nodes, RangeId id) {
  for (const auto& [machine, node] : nodes) {
    if (!node->up() || node->paused()) continue;
    range::Range* range = node->host().find(id);
    if (range != nullptr && range->leads()) return node.get();
  }
  return nullptr;
}

namespace {

bool range_at_rest(const StoreChecks::Nodes& nodes, const range::Descriptor& descriptor,
                   std::string& why) {
  why = "not at rest: " + range::describe(descriptor);
  for (const auto& [machine, node] : nodes) {
    const range::Range* range = node->host().find(descriptor.id);
    if (range == nullptr) continue;
    why += "; " + std::to_string(machine) + ": " + std::to_string(range->id().value) + " term " +
           std::to_string(range->raft().term()) + " stable " +
           std::to_string(range->raft().stable()) + " applied " +
           std::to_string(range->raft().applied()) + (range->needs_rebuild() ? " rebuilds" : "") +
           (range->is_installing() ? " installs" : "");
  }
  range::Range& leads = *leader_of(nodes, descriptor.id)->host().find(descriptor.id);
  if (!leads.leads_up_to_date() || !leads.settled()) return false;
  for (const range::Replica& replica : descriptor.replicas) {
    StoreNode& node = *nodes.at(static_cast<Machine>(replica.store.value));
    range::Range* range = node.host().find(descriptor.id);
    if (range == nullptr || range->id() != replica.id || !range->initialised()) return false;
    if (range->applier().applied().index != leads.applier().applied().index) return false;
    if (!node.serves()) continue;
    why += "; store " + std::to_string(node.id().value) + " may not serve";
    if (!node.host().may_serve(descriptor.id, node.clock())) return false;
  }
  return true;
}

}  // namespace

bool ranges_at_rest(const StoreChecks::Nodes& nodes,
                    const std::map<RangeId, range::Descriptor>& latest, std::string& why) {
  for (const auto& [machine, node] : nodes) {
    if (node->up()) continue;
    why = "store " + std::to_string(machine) + " is down";
    return false;
  }
  for (const auto& [id, descriptor] : latest) {
    StoreNode* leads = leader_of(nodes, id);
    if (leads == nullptr) {
      why = "range " + std::to_string(id.value) + " has no leader";
      return false;
    }
    if (!range_at_rest(nodes, leads->host().find(id)->descriptor(), why)) return false;
  }
  for (const auto& [machine, node] : nodes) {
    for (const auto& [id, range] : node->host().ranges()) {
      StoreNode* leads = leader_of(nodes, id);
      if (leads != nullptr && leads->host().find(id)->descriptor().find(range->id())) continue;
      why = "replica " + std::to_string(range->id().value) + " of range " +
            std::to_string(id.value) + " is left over on store " + std::to_string(machine);
      return false;
    }
  }
  return true;
}

}  // namespace skald::sim
