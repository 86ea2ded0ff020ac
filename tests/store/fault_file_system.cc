#include "tests/store/fault_file_system.h"

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <utility>

#include "config/base/assert.h"
#include "kv/store/files.h"

namespace skald::store {
namespace {

constexpr std::size_t kPage = 4096;

}  // namespace

FaultFileSystem::FaultFileSystem(std::uint64_t seed) : random_(seed) {
  const auto root = std::make_shared<Node>();
  root->directory = true;
  names_["/"] = root;
  durable_names_ = names_;
}

int FaultFileSystem::enter(bool changes) {
  dying_ = false;
  if (crashed_) return -EIO;
  if (!changes) return 0;
  ++calls_;
  if (calls_ == crash_at_) {
    crashed_ = true;
    dying_ = true;
    // The call may still have had its effect.
    return random_.one_in(2) ? 0 : -EIO;
  }
  if (calls_ == fail_at_.first) return -fail_at_.second;
  if (fail_one_in_ > 0 && random_.one_in(fail_one_in_)) return random_.one_in(2) ? -EIO : -ENOSPC;
  return 0;
}

int FaultFileSystem::open_handle(OpenFile file) {
  open_.emplace(next_handle_, std::move(file));
  return next_handle_++;
}

void FaultFileSystem::apply(std::map<std::string, NodePtr>& names, const Change& c) {
  if (!c.gone.empty()) names.erase(c.gone);
  if (!c.name.empty()) names[c.name] = c.node;
}

void FaultFileSystem::change(const std::string& directory, Change c) {
  apply(names_, c);
  pending_[directory].push_back(std::move(c));
}

void FaultFileSystem::settle_content(Node& node) {
  const std::size_t durable = std::min(node.durable, node.doomed_at.value_or(node.durable));
  const std::size_t written =
      std::min(node.content.size(), node.doomed_at.value_or(node.content.size()));
  switch (random_.below(4)) {
    case 0:
      node.content.resize(durable);
      break;
    case 1:
      node.content.resize(random_.between(durable, written));
      break;
    case 2:
      node.content.resize(written);
      break;
    default: {
      std::size_t end = durable;
      for (std::size_t at = durable; at < written;) {
        const std::size_t next = std::min(written, (at / kPage + 1) * kPage);
        if (random_.one_in(2)) {
          end = next;
        } else {
          std::fill(node.content.begin() + static_cast<std::ptrdiff_t>(at),
                    node.content.begin() + static_cast<std::ptrdiff_t>(next), '\0');
        }
        at = next;
      }
      node.content.resize(random_.one_in(2) ? end : written);
    }
  }
  node.durable = node.content.size();
  node.doomed_at.reset();
}

void FaultFileSystem::restart() {
  const std::lock_guard lock(mutex_);
  SKALD_ASSERT(open_.empty());
  for (auto& [directory, changes] : pending_) {
    const std::uint64_t style = random_.below(4);
    const std::uint64_t kept = random_.below(changes.size() + 1);
    for (std::size_t i = 0; i < changes.size(); ++i) {
      const bool keep = style == 0   ? false
                        : style == 1 ? true
                        : style == 2 ? i < kept
                                     : random_.one_in(2);
      if (keep) apply(durable_names_, changes[i]);
    }
  }
  pending_.clear();
  names_ = durable_names_;
  // What lies in a lost directory is lost.
  for (bool again = true; again;) {
    again = std::erase_if(names_, [this](const auto& item) {
              const std::string parent = directory_of(item.first);
              return !names_.contains(parent);
            }) > 0;
  }
  durable_names_ = names_;
  std::set<Node*> done;
  for (auto& [path, node] : names_) {
    if (!node->directory && done.insert(node.get()).second) settle_content(*node);
  }
  locks_.clear();
  crashed_ = false;
  crash_at_ = 0;
  fail_at_ = {0, 0};
}

std::vector<std::string> FaultFileSystem::paths() const {
  const std::lock_guard lock(mutex_);
  std::vector<std::string> all;
  for (const auto& [path, node] : names_) {
    if (!node->directory) all.push_back(path);
  }
  return all;
}

std::string FaultFileSystem::content(const std::string& path) const {
  const std::lock_guard lock(mutex_);
  return names_.at(path)->content;
}

void FaultFileSystem::set_content(const std::string& path, std::string content) {
  const std::lock_guard lock(mutex_);
  Node& node = *names_.at(path);
  node.content = std::move(content);
  node.durable = node.content.size();
}

void FaultFileSystem::lose(const std::string& path) {
  const std::lock_guard lock(mutex_);
  names_.erase(path);
  durable_names_.erase(path);
}

void FaultFileSystem::copy_to(FaultFileSystem& other) const {
  const std::lock_guard lock(mutex_);
  for (const auto& [path, node] : names_) other.names_[path] = std::make_shared<Node>(*node);
  other.durable_names_ = other.names_;
}

int FaultFileSystem::open_read(const std::string& path) {
  const std::lock_guard lock(mutex_);
  if (const int failed = enter(false); failed < 0) return failed;
  const auto found = names_.find(path);
  if (found == names_.end()) return -ENOENT;
  return open_handle({found->second, {}});
}

int FaultFileSystem::create(const std::string& path) {
  const std::lock_guard lock(mutex_);
  if (const int failed = enter(true); failed < 0) return failed;
  if (!names_.contains(directory_of(path))) return -ENOENT;
  const auto node = std::make_shared<Node>();
  change(directory_of(path), {{}, path, node});
  if (dying_) return -EIO;
  return open_handle({node, {}});
}

void FaultFileSystem::close(int file) {
  const std::lock_guard lock(mutex_);
  const auto found = open_.find(file);
  SKALD_ASSERT(found != open_.end());
  if (!found->second.locked.empty()) locks_.erase(found->second.locked);
  open_.erase(found);
}

std::int64_t FaultFileSystem::read_at(int file, std::uint64_t offset, std::span<char> into) {
  const std::lock_guard lock(mutex_);
  if (const int failed = enter(false); failed < 0) return failed;
  const std::string& content = open_.at(file).node->content;
  if (offset >= content.size() || into.empty()) return 0;
  std::size_t n = std::min(into.size(), content.size() - offset);
  if (short_reads_) {
    if (random_.one_in(16)) return -EINTR;
    n = random_.between(1, n);
  }
  std::memcpy(into.data(), content.data() + offset, n);
  return static_cast<std::int64_t>(n);
}

std::uint64_t FaultFileSystem::used() const {
  std::uint64_t bytes = 0;
  for (const auto& [path, node] : names_) bytes += node->content.size();
  return bytes;
}

std::int64_t FaultFileSystem::write(int file, std::string_view data) {
  const std::lock_guard lock(mutex_);
  const int failed = enter(true);
  Node& node = *open_.at(file).node;
  std::size_t n = data.size();
  // A write that fails, or that the crash falls into, may have got some way.
  if (failed < 0) n = crashed_ && !dying_ ? 0 : random_.between(0, n);
  if (failed == 0 && short_reads_ && n > 1) n = random_.between(1, n);
  if (space_.has_value()) n = std::min<std::size_t>(n, *space_ - std::min(*space_, used()));
  node.content.append(data.substr(0, n));
  if (failed < 0 || dying_) return failed < 0 ? failed : -EIO;
  return n == 0 && !data.empty() ? -ENOSPC : static_cast<std::int64_t>(n);
}

int FaultFileSystem::sync(int file) {
  const std::lock_guard lock(mutex_);
  const int failed = enter(true);
  Node& node = *open_.at(file).node;
  if (failed < 0) {
    // The kernel drops the dirty pages and forgets that they were.
    if (!crashed_ && !node.doomed_at.has_value()) node.doomed_at = node.durable;
    return failed;
  }
  node.durable = node.content.size();
  return dying_ ? -EIO : 0;
}

int FaultFileSystem::sync_directory(const std::string& path) {
  const std::lock_guard lock(mutex_);
  if (const int failed = enter(true); failed < 0) return failed;
  for (const Change& c : pending_[path]) apply(durable_names_, c);
  pending_.erase(path);
  return dying_ ? -EIO : 0;
}

int FaultFileSystem::make_directory(const std::string& path) {
  const std::lock_guard lock(mutex_);
  if (const int failed = enter(true); failed < 0) return failed;
  if (names_.contains(path)) return -EEXIST;
  const auto node = std::make_shared<Node>();
  node->directory = true;
  change(directory_of(path), {{}, path, node});
  return dying_ ? -EIO : 0;
}

int FaultFileSystem::rename(const std::string& from, const std::string& to) {
  const std::lock_guard lock(mutex_);
  if (const int failed = enter(true); failed < 0) return failed;
  const auto found = names_.find(from);
  if (found == names_.end()) return -ENOENT;
  change(directory_of(to), {from, to, found->second});
  return dying_ ? -EIO : 0;
}

int FaultFileSystem::remove(const std::string& path) {
  const std::lock_guard lock(mutex_);
  if (const int failed = enter(true); failed < 0) return failed;
  if (!names_.contains(path)) return -ENOENT;
  change(directory_of(path), {path, {}, nullptr});
  return dying_ ? -EIO : 0;
}

int FaultFileSystem::remove_directory(const std::string& path) { return remove(path); }

bool FaultFileSystem::exists(const std::string& path) {
  const std::lock_guard lock(mutex_);
  return names_.contains(path);
}

std::int64_t FaultFileSystem::size(const std::string& path) {
  const std::lock_guard lock(mutex_);
  if (const int failed = enter(false); failed < 0) return failed;
  const auto found = names_.find(path);
  return found == names_.end() ? -ENOENT : static_cast<std::int64_t>(found->second->content.size());
}

int FaultFileSystem::list(const std::string& path, std::vector<std::string>& names) {
  const std::lock_guard lock(mutex_);
  names.clear();
  if (const int failed = enter(false); failed < 0) return failed;
  if (!names_.contains(path)) return -ENOENT;
  for (const auto& [name, node] : names_) {
    if (directory_of(name) == path) names.push_back(name.substr(path.size() + 1));
  }
  return 0;
}

int FaultFileSystem::lock(const std::string& path) {
  const std::lock_guard lock(mutex_);
  if (const int failed = enter(true); failed < 0) return failed;
  if (!locks_.insert(path).second) return -EWOULDBLOCK;
  if (!names_.contains(path)) change(directory_of(path), {{}, path, std::make_shared<Node>()});
  if (dying_) {
    locks_.erase(path);
    return -EIO;
  }
  return open_handle({names_.at(path), path});
}

}  // namespace skald::store
