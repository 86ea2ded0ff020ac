#include "mqtt/inbox/session_table.h"

#include <algorithm>
#include <cstring>
#include <new>

#include "config/base/assert.h"
#include "mqtt/inbox/keys.h"

namespace skald::inbox {

Session* SessionTable::find(std::uint64_t hash, std::string_view key) const {
  const auto found = sessions_.find(SessionOrder::Probe{hash, key});
  return found == sessions_.end() ? nullptr : found->session;
}

Session& SessionTable::add(std::uint64_t hash, std::string_view key, std::string_view user) {
  void* memory = ::operator new(sizeof(Session) + key.size() + user.size());
  auto* session = new (memory) Session;
  char* bytes = reinterpret_cast<char*>(session + 1);
  std::memcpy(bytes, key.data(), key.size());
  if (!user.empty()) std::memcpy(bytes + key.size(), user.data(), user.size());
  session->hash = hash;
  session->key_size = static_cast<std::uint32_t>(key.size());
  session->user_size = static_cast<std::uint32_t>(user.size());
  const bool is_new = sessions_.insert({hash, session}).second;
  SKALD_ASSERT(is_new);
  return *session;
}

void SessionTable::destroy(Session* session) {
  session->~Session();
  ::operator delete(session);
}

void SessionTable::remove(Session& session) {
  set_owner(session, std::nullopt);
  set_deadlines(session, 0, 0);
  sessions_.erase(SessionEntry{session.hash, &session});
  destroy(&session);
}

void SessionTable::clear() {
  deadlines_.clear();
  lives_.clear();
  for (const SessionEntry& entry : sessions_) destroy(entry.session);
  sessions_.clear();
}

void SessionTable::set_owner(Session& session, const std::optional<Owner>& owner) {
  const SessionEntry entry{session.hash, &session};
  if (session.life != nullptr) {
    session.life->sessions.erase(entry);
    if (session.life->sessions.empty()) lives_.erase(session.life->life);
    session.life = nullptr;
  }
  if (!owner) return;
  LifeSessions& life = lives_[owner->life];
  life.life = owner->life;
  life.sessions.insert(entry);
  session.life = &life;
  session.owner_session = owner->session;
}

std::optional<Owner> SessionTable::owner_of(const Session& session) const {
  if (!session.online()) return std::nullopt;
  return Owner{.life = session.life->life, .session = session.owner_session};
}

std::uint64_t SessionTable::due_us(const Session& session) {
  const std::uint64_t end = session.inbox == nullptr ? 0 : session.inbox->end_due_us;
  if (session.will_due_us == 0) return end;
  return end == 0 ? session.will_due_us : std::min(end, session.will_due_us);
}

void SessionTable::set_deadlines(Session& session, std::uint64_t will_due_us,
                                 std::uint64_t end_due_us) {
  const SessionEntry entry{session.hash, &session};
  const std::uint64_t before = due_us(session);
  session.will_due_us = will_due_us;
  if (session.inbox != nullptr) session.inbox->end_due_us = end_due_us;
  const std::uint64_t after = due_us(session);
  if (before == after) return;
  if (before != 0) deadlines_.erase(Deadline{before, entry});
  if (after != 0) deadlines_.insert(Deadline{after, entry});
}

std::optional<std::uint64_t> SessionTable::next_due_us() const {
  if (deadlines_.empty()) return std::nullopt;
  return deadlines_.begin()->due_us;
}

Session* SessionTable::first_due(std::uint64_t now_us) const {
  if (deadlines_.empty() || deadlines_.begin()->due_us > now_us) return nullptr;
  return deadlines_.begin()->entry.session;
}

Session* SessionTable::first_of(Life life, std::uint8_t byte) const {
  const auto found = lives_.find(life);
  if (found == lives_.end()) return nullptr;
  const SessionSet& sessions = found->second.sessions;
  const auto first = sessions.lower_bound(SessionOrder::Probe{std::uint64_t{byte} << 56, {}});
  return first == sessions.end() ? nullptr : first->session;
}

}  // namespace skald::inbox
