#include "tests/chaos/checker/history.h"

#include <algorithm>
#include <array>
#include <charconv>
#include <limits>
#include <sstream>

namespace skald::checker {
namespace {

struct KindRow {
  const char* name;
  const char* required;  // keys, one letter or word each, separated by spaces
  const char* optional;
};

// In the order of Kind.
constexpr std::array<KindRow, 26> kKinds = {{
    {"connect", "c id", "tn v clean exp rm will wt wq wr wd wx"},
    {"connack", "c", "rc sp exp"},
    {"disconnect", "c", "rc exp"},
    {"close", "c", "srv rc"},
    {"sub", "c s f", "q nl rap rh"},
    {"suback", "c s rc", ""},
    {"unsub", "c s f", ""},
    {"unsuback", "c s", "rc"},
    {"readend", "c s", ""},
    {"drained", "c quiet", ""},
    {"pub", "c m t", "q r e x p"},
    {"repub", "c m", "p"},
    {"puback", "c m", "rc"},
    {"pubrec", "c m", "rc"},
    {"pubrel", "c m", ""},
    {"pubcomp", "c m", "rc"},
    {"deliver", "c m t", "q r d p x e"},
    {"ack", "c p", "rc"},
    {"rec", "c p", "rc"},
    {"rel", "c p", ""},
    {"comp", "c p", ""},
    {"kill", "", ""},
    {"stop", "", ""},
    {"up", "", ""},
    {"drop", "id m", "tn"},
    {"drops", "n", "id tn"},
}};

bool in_list(std::string_view list, std::string_view word) {
  for (std::size_t at = 0; at < list.size();) {
    const std::size_t end = std::min(list.find(' ', at), list.size());
    if (list.substr(at, end - at) == word) return true;
    at = end + 1;
  }
  return false;
}

bool parse_number(std::string_view text, std::uint64_t* out) {
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), *out);
  return error == std::errc() && end == text.data() + text.size();
}

bool unescape(std::string_view text, std::string* out) {
  out->clear();
  for (std::size_t i = 0; i < text.size(); ++i) {
    if (text[i] != '%') {
      out->push_back(text[i]);
      continue;
    }
    unsigned value = 0;
    if (i + 2 >= text.size()) return false;
    const char* at = text.data() + i + 1;
    if (std::from_chars(at, at + 2, value, 16).ptr != at + 2) return false;
    out->push_back(static_cast<char>(value));
    i += 2;
  }
  return true;
}

std::string escape(std::string_view text) {
  static constexpr char kHex[] = "0123456789abcdef";
  std::string out;
  for (const char ch : text) {
    const auto byte = static_cast<unsigned char>(ch);
    if (byte > 0x20 && byte != 0x7f && byte != '%') {
      out.push_back(ch);
      continue;
    }
    out.push_back('%');
    out.push_back(kHex[byte >> 4]);
    out.push_back(kHex[byte & 15]);
  }
  return out;
}

}  // namespace

/// The words of one line, by key; a key is at most once in a line.
class Fields {
 public:
  Status split(const KindRow& row, std::string_view rest) {
    count_ = 0;
    while (!rest.empty()) {
      const std::size_t end = std::min(rest.find(' '), rest.size());
      const std::string_view word = rest.substr(0, end);
      rest.remove_prefix(std::min(end + 1, rest.size()));
      if (word.empty()) continue;
      const std::size_t eq = word.find('=');
      if (eq == std::string_view::npos) return Error{"not key=value: " + std::string(word)};
      const std::string_view key = word.substr(0, eq);
      if (!in_list(row.required, key) && !in_list(row.optional, key)) {
        return Error{std::string(row.name) + " has no key " + std::string(key)};
      }
      if (has(key)) return Error{"twice in a line: " + std::string(key)};
      if (count_ == fields_.size()) return Error{"too many keys"};
      fields_[count_++] = {key, word.substr(eq + 1)};
    }
    return {};
  }

  bool has(std::string_view key) const {
    for (std::size_t i = 0; i < count_; ++i) {
      if (fields_[i].key == key) return true;
    }
    return false;
  }

  /// Remembers the first key that is no number or too big; see `bad`.
  std::uint64_t number(std::string_view key, std::uint64_t missing, std::uint64_t max) {
    for (std::size_t i = 0; i < count_; ++i) {
      if (fields_[i].key != key) continue;
      std::uint64_t v = 0;
      if (!parse_number(fields_[i].value, &v) || v > max) bad_ = key;
      return v;
    }
    return missing;
  }

  std::string text(std::string_view key, std::string_view missing) {
    for (std::size_t i = 0; i < count_; ++i) {
      if (fields_[i].key != key) continue;
      std::string out;
      if (!unescape(fields_[i].value, &out)) bad_ = key;
      return out;
    }
    return std::string(missing);
  }

  std::string_view bad() const { return bad_; }

 private:
  struct Field {
    std::string_view key;
    std::string_view value;
  };
  std::array<Field, 16> fields_;
  std::size_t count_ = 0;
  std::string_view bad_;
};

namespace {

constexpr std::uint64_t kU32 = kNone;
constexpr std::uint64_t kU64 = std::numeric_limits<std::uint64_t>::max();

std::uint8_t flag(Fields& f, std::string_view key, std::uint8_t bit) {
  return f.number(key, 0, 1) != 0 ? bit : std::uint8_t{0};
}

void append(std::string& out, const char* key, std::uint64_t value) {
  out += ' ';
  out += key;
  out += '=';
  out += std::to_string(value);
}

/// What `number` holds for a kind.
const char* number_key(Kind kind) {
  switch (kind) {
    case Kind::kConnack:
    case Kind::kDisconnect:
      return "exp";
    case Kind::kSub:
    case Kind::kSuback:
    case Kind::kUnsub:
    case Kind::kUnsuback:
    case Kind::kReadEnd:
      return "s";
    case Kind::kDrained:
      return "quiet";
    case Kind::kDrops:
      return "n";
    default:
      return "x";
  }
}

}  // namespace

const char* kind_name(Kind kind) { return kKinds[static_cast<std::size_t>(kind)].name; }

std::uint32_t Strings::intern(std::string_view text) {
  const auto [it, fresh] = index_.try_emplace(std::string(text), size());
  if (fresh) texts_.push_back(&it->first);
  return it->second;
}

std::uint32_t Strings::find(std::string_view text) const {
  const auto it = index_.find(std::string(text));
  return it == index_.end() ? kNone : it->second;
}

std::string History::line(std::uint32_t event) const {
  const Event& e = events[event];
  std::string out = std::to_string(e.time_us) + ' ' + kind_name(e.kind);
  if (e.connection != kNone) {
    const Connection& c = connections[e.connection];
    append(out, "c", c.number);
    if (e.kind == Kind::kConnect) {
      out += " id=" + escape(sessions[c.session].client);
      if (!sessions[c.session].tenant.empty()) out += " tn=" + escape(sessions[c.session].tenant);
      append(out, "v", c.version);
      append(out, "clean", c.clean ? 1 : 0);
      append(out, "exp", c.expiry_s);
      if (c.will != kNone) {
        append(out, "will", nonces[c.will]);
        out += " wt=" + escape(texts[c.will_topic]);
        append(out, "wq", c.will_qos);
        append(out, "wd", c.will_delay_s);
      }
    }
  }
  if (e.message != kNone) append(out, "m", nonces[e.message]);
  if (e.kind == Kind::kDrop || e.kind == Kind::kDrops) {
    if (e.text != kNone) out += " session=" + escape(texts[e.text]);
  } else if (e.text != kNone) {
    const bool filter = e.kind == Kind::kSub || e.kind == Kind::kUnsub;
    out += (filter ? " f=" : " t=") + escape(texts[e.text]);
  }
  if (e.number != kNone) append(out, number_key(e.kind), e.number);
  if (e.packet_id != 0) append(out, "p", e.packet_id);
  if (e.qos() != 0) append(out, "q", e.qos());
  if (e.reason != 0) append(out, "rc", e.reason);
  if (e.has(kRetain)) out += " r=1";
  if (e.has(kDup)) out += " d=1";
  if (e.has(kEmpty)) out += " e=1";
  if (e.has(kSessionPresent)) out += " sp=1";
  if (e.has(kByServer)) out += " srv=1";
  return out;
}

std::uint32_t HistoryReader::connection(std::uint64_t number) {
  const auto next = static_cast<std::uint32_t>(history_.connections.size());
  const auto [it, fresh] = connection_index_.try_emplace(number, next);
  if (fresh) history_.connections.emplace_back().number = number;
  return it->second;
}

std::uint32_t HistoryReader::message(std::uint64_t nonce) {
  if (nonce == 0) return kNone;
  const auto next = static_cast<std::uint32_t>(history_.nonces.size());
  const auto [it, fresh] = message_index_.try_emplace(nonce, next);
  if (fresh) history_.nonces.push_back(nonce);
  return it->second;
}

std::uint32_t HistoryReader::session(std::string_view tenant, std::string_view client) {
  const std::string name = std::string(tenant) + '\0' + std::string(client);
  const auto next = static_cast<std::uint32_t>(history_.sessions.size());
  const auto [it, fresh] = session_index_.try_emplace(name, next);
  if (fresh) history_.sessions.push_back({std::string(tenant), std::string(client)});
  return it->second;
}

Status HistoryReader::read(std::istream& in, const std::string& name) {
  std::string line;
  for (std::uint64_t number = 1; std::getline(in, line); ++number) {
    if (line.empty() || line[0] == '#') continue;
    const Status status = read_line(line);
    if (!status) {
      return Error{name + ":" + std::to_string(number) + ": " + status.error().message};
    }
  }
  if (in.bad()) return Error{name + ": read failed"};
  return {};
}

Status HistoryReader::read_line(std::string_view line) {
  Event e;
  const std::size_t space = line.find(' ');
  if (space == std::string_view::npos || !parse_number(line.substr(0, space), &e.time_us)) {
    return Error{"no time at the start"};
  }
  line.remove_prefix(space + 1);
  const std::string_view kind = line.substr(0, line.find(' '));
  line.remove_prefix(std::min(kind.size() + 1, line.size()));
  std::size_t row = 0;
  while (row < kKinds.size() && kind != kKinds[row].name) ++row;
  if (row == kKinds.size()) return Error{"unknown kind " + std::string(kind)};
  e.kind = static_cast<Kind>(row);

  Fields f;
  if (Status status = f.split(kKinds[row], line); !status) return status;
  std::string_view required = kKinds[row].required;
  while (!required.empty()) {
    const std::string_view key = required.substr(0, required.find(' '));
    required.remove_prefix(std::min(key.size() + 1, required.size()));
    if (!f.has(key)) return Error{std::string(kind) + " needs " + std::string(key)};
  }

  if (f.has("c")) e.connection = connection(f.number("c", 0, kU64));
  if (f.has("m")) e.message = message(f.number("m", 0, kU64));
  if (f.has("t")) e.text = history_.texts.intern(f.text("t", ""));
  if (f.has("f")) e.text = history_.texts.intern(f.text("f", ""));
  const char* key = number_key(e.kind);
  if (e.kind != Kind::kConnect && f.has(key)) {
    e.number = static_cast<std::uint32_t>(f.number(key, 0, kU32));
  }
  e.packet_id = static_cast<std::uint16_t>(f.number("p", 0, 65535));
  e.qos_and_handling = static_cast<std::uint8_t>(f.number("q", 0, 2) | (f.number("rh", 0, 2) << 2));
  e.reason = static_cast<std::uint8_t>(f.number("rc", 0, 255));
  e.flags =
      static_cast<std::uint8_t>(flag(f, "r", kRetain) | flag(f, "d", kDup) | flag(f, "e", kEmpty) |
                                flag(f, "sp", kSessionPresent) | flag(f, "srv", kByServer) |
                                flag(f, "nl", kNoLocal) | flag(f, "rap", kRetainAsPublished));
  if (e.kind == Kind::kDrop || (e.kind == Kind::kDrops && f.has("id"))) {
    e.text = history_.texts.intern(f.text("tn", "") + '/' + f.text("id", ""));
  }
  if (e.kind == Kind::kConnect) {
    if (Status status = read_connect(f, e.connection); !status) return status;
  }
  if (!f.bad().empty()) return Error{"bad value of " + std::string(f.bad())};
  if (Status status = check_event(e); !status) return status;
  if (history_.events.size() >= kNone - 1) return Error{"more events than this checker counts"};
  history_.events.push_back(e);
  return {};
}

Status HistoryReader::read_connect(Fields& f, std::uint32_t connection) {
  Connection& c = history_.connections[connection];
  if (c.connect != kNone) return Error{"connection number used twice"};
  c.connect = 0;  // set for good once the events are sorted
  c.session = session(f.text("tn", ""), f.text("id", ""));
  c.version = static_cast<std::uint8_t>(f.number("v", 5, 5));
  c.clean = f.number("clean", 0, 1) != 0;
  c.expiry_s = static_cast<std::uint32_t>(f.number("exp", 0, kU32));
  c.receive_maximum = static_cast<std::uint32_t>(f.number("rm", 65535, 65535));
  if (f.has("will") != f.has("wt")) return Error{"will and wt go together"};
  if (!f.has("will")) return {};
  c.will = message(f.number("will", 0, kU64));
  if (c.will == kNone) return Error{"will=0"};
  c.will_topic = history_.texts.intern(f.text("wt", ""));
  c.will_qos = static_cast<std::uint8_t>(f.number("wq", 0, 2));
  c.will_retain = f.number("wr", 0, 1) != 0;
  c.will_delay_s = static_cast<std::uint32_t>(f.number("wd", 0, kU32));
  c.will_expiry_s = static_cast<std::uint32_t>(f.number("wx", kNone, kU32));
  return {};
}

Status HistoryReader::check_event(const Event& e) const {
  switch (e.kind) {
    case Kind::kPub:
    case Kind::kRepub:
    case Kind::kPuback:
    case Kind::kPubrec:
    case Kind::kPubrel:
    case Kind::kPubcomp:
    case Kind::kDrop:
      if (e.message == kNone) return Error{"m=0 is only for deliver"};
      return {};
    case Kind::kDeliver:
      if (e.qos() > 0 && e.packet_id == 0) return Error{"deliver of QoS 1 or 2 needs p"};
      return {};
    default:
      return {};
  }
}

Result<History> HistoryReader::finish() {
  const auto earlier = [](const Event& a, const Event& b) { return a.time_us < b.time_us; };
  auto& events = history_.events;
  if (!std::is_sorted(events.begin(), events.end(), earlier)) {
    std::stable_sort(events.begin(), events.end(), earlier);
  }
  std::vector<bool> connected(history_.connections.size(), false);
  for (std::uint32_t i = 0; i < events.size(); ++i) {
    const std::uint32_t c = events[i].connection;
    if (c == kNone) continue;
    if (events[i].kind == Kind::kConnect) {
      history_.connections[c].connect = i;
      connected[c] = true;
    } else if (!connected[c]) {
      return Error{"before its connect: " + history_.line(i)};
    }
  }
  return std::move(history_);
}

Result<History> parse_history(std::string_view text) {
  std::istringstream in{std::string(text)};
  HistoryReader reader;
  if (Status status = reader.read(in, "history"); !status) return status.error();
  return reader.finish();
}

}  // namespace skald::checker
