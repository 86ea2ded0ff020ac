#include "kv/store/data_directory.h"

#include <algorithm>
#include <cerrno>
#include <charconv>
#include <cstdio>
#include <optional>
#include <sstream>
#include <utility>
#include <vector>

#include "config/base/assert.h"
#include "kv/store/crc32c.h"
#include "kv/store/database.h"
#include "kv/store/files.h"

namespace skald::store {
namespace {

constexpr int kFormat = 1;
constexpr std::string_view kFormatWords = "skald-data-directory ";
constexpr std::string_view kNodeWords = "skald-node ";

Error with_choices(std::string what) { return Error{std::move(what) + ". " + kDamageChoices}; }

/// Small text files end with a line that has their checksum.
std::string sealed(std::string text) {
  char line[32];
  std::snprintf(line, sizeof line, "crc32c %08x\n", crc32c(text));
  return std::move(text) + line;
}

constexpr std::size_t kSealBytes = 16;

/// The text that was sealed; none if it was changed.
std::optional<std::string> unsealed(const std::string& content) {
  if (content.size() < kSealBytes) return std::nullopt;
  std::string text = content.substr(0, content.size() - kSealBytes);
  if (sealed(text) != content) return std::nullopt;
  return text;
}

template <class T>
bool parse(std::string_view text, T& value, int base) {
  const auto [end, failed] = std::from_chars(text.data(), text.data() + text.size(), value, base);
  return failed == std::errc() && end == text.data() + text.size();
}

}  // namespace

DataDirectory::DataDirectory(FileSystem& files, std::string path)
    : files_(files), path_(std::move(path)) {}

DataDirectory::~DataDirectory() {
  if (lock_ >= 0) files_.close(lock_);
}

Result<std::unique_ptr<DataDirectory>> DataDirectory::open(FileSystem& files, std::string path,
                                                           NodeId fresh) {
  std::unique_ptr<DataDirectory> directory(new DataDirectory(files, std::move(path)));
  if (Status s = ensure_directory(files, directory->path_); !s) return s.error();
  if (Status s = directory->take_lock(); !s) return s.error();
  if (Status s = directory->read_format(); !s) return s.error();
  if (Status s = directory->read_node(fresh); !s) return s.error();
  if (Status s = ensure_directory(files, directory->path_ + "/stores"); !s) return s.error();
  return directory;
}

Status DataDirectory::take_lock() {
  lock_ = files_.lock(path_ + "/LOCK");
  if (lock_ == -EWOULDBLOCK) {
    return Error{path_ + ": in use by another process (it holds " + path_ + "/LOCK)"};
  }
  if (lock_ < 0) return io_error(path_ + "/LOCK", "lock", lock_);
  return {};
}

Status DataDirectory::read_format() {
  const std::string file = path_ + "/FORMAT";
  if (!files_.exists(file)) {
    if (files_.exists(path_ + "/NODE") || files_.exists(path_ + "/log")) {
      return with_choices(file + ": missing, in a data directory that has been in use");
    }
    return {};  // written before NODE
  }
  const Result<std::string> content = read_file(files_, file);
  if (!content) return content.error();
  // A later release may seal its file in another way: the version comes first.
  std::istringstream lines(*content);
  std::string line;
  std::getline(lines, line);
  int version = 0;
  const bool known = line.starts_with(kFormatWords) &&
                     parse(std::string_view(line).substr(kFormatWords.size()), version, 10);
  if (known && version > kFormat) {
    return Error{file + ": the data directory has format " + std::to_string(version) +
                 ", this release reads up to " + std::to_string(kFormat) +
                 ". Choices: start the release that wrote it, or a later one; or give this one "
                 "another data directory"};
  }
  const std::optional<std::string> text = unsealed(*content);
  if (!known || version < 1 || !text.has_value()) return with_choices(file + ": damaged");
  lines.str(*text);
  std::getline(lines, line);
  while (std::getline(lines, line)) databases_.insert(line);
  return {};
}

Status DataDirectory::remember(const std::string& database) {
  databases_.insert(database);
  return write_format();
}

Status DataDirectory::write_format() {
  std::string content = std::string(kFormatWords) + std::to_string(kFormat) + "\n";
  for (const std::string& name : databases_) content += name + "\n";
  return replace_file(files_, path_ + "/FORMAT", sealed(std::move(content)));
}

Status DataDirectory::read_node(NodeId fresh) {
  const std::string file = path_ + "/NODE";
  if (!files_.exists(file)) {
    if (!databases_.empty()) {
      return with_choices(file + ": missing, in a data directory that has been in use");
    }
    SKALD_ASSERT(fresh.value != 0);
    char text[32];
    std::snprintf(text, sizeof text, "%016llx\n", static_cast<unsigned long long>(fresh.value));
    // FORMAT first, without databases yet: a NODE without it would be refused.
    if (Status s = write_format(); !s) return s;
    if (Status s = replace_file(files_, file, sealed(std::string(kNodeWords) + text)); !s) return s;
    node_ = fresh;
    return {};
  }
  const Result<std::string> content = read_file(files_, file);
  if (!content) return content.error();
  const std::optional<std::string> text = unsealed(*content);
  const bool good =
      text.has_value() && text->starts_with(kNodeWords) && text->ends_with('\n') &&
      parse(std::string_view(*text).substr(kNodeWords.size(), text->size() - kNodeWords.size() - 1),
            node_.value, 16);
  if (!good) return with_choices(file + ": damaged: it does not say who the node is");
  return {};
}

Result<std::unique_ptr<LogStore>> DataDirectory::open_log(DiskLogOptions options) {
  options.path = path_ + "/log";
  options.must_exist = databases_.contains("log");
  Result<std::unique_ptr<LogStore>> log = open_disk_log(files_, options);
  if (!log || options.must_exist) return log;
  if (Status s = remember("log"); !s) return s.error();
  return log;
}

Result<std::unique_ptr<DataStore>> DataDirectory::open_store(const std::string& name,
                                                             DiskEngineOptions options) {
  const bool plain = std::all_of(name.begin(), name.end(), [](char c) {
    return (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9') || c == '-' || c == '_';
  });
  SKALD_ASSERT(plain && !name.empty());
  const std::string database = "stores/" + name;
  options.path = path_ + "/" + database;
  options.must_exist = databases_.contains(database);
  Result<std::unique_ptr<Engine>> engine = open_disk_engine(files_, options);
  if (!engine) return engine.error();
  if (!options.must_exist) {
    if (Status s = remember(database); !s) return s.error();
  }
  return DataStore::open(std::move(*engine));
}

}  // namespace skald::store
