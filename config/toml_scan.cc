#include "config/toml_scan.h"

#include <array>
#include <cstdint>
#include <utility>

namespace skald::config {
namespace {

/// A character beyond ASCII at the head of `text`; size 0 when it is not well-formed UTF-8.
struct Character {
  std::uint32_t code = 0;
  std::size_t size = 0;
};

Character character_at(std::string_view text) {
  static constexpr std::array<std::uint32_t, 5> kSmallest = {0, 0, 0x80, 0x800, 0x1'0000};
  const auto first = static_cast<unsigned char>(text[0]);
  const std::size_t size = first >= 0xf0 ? 4 : first >= 0xe0 ? 3 : first >= 0xc0 ? 2 : 0;
  if (size == 0 || first > 0xf4 || text.size() < size) return {};
  std::uint32_t code = first & (0x7fU >> size);
  for (std::size_t i = 1; i < size; ++i) {
    const auto byte = static_cast<unsigned char>(text[i]);
    if ((byte & 0xc0U) != 0x80) return {};
    code = (code << 6) | (byte & 0x3fU);
  }
  const bool surrogate = code >= 0xd800 && code <= 0xdfff;
  if (code < kSmallest[size] || surrogate || code > 0x10'ffff) return {};
  return {code, size};
}

/// Follows strings and comments from byte to byte.
class Scanner {
 public:
  explicit Scanner(std::string_view text) : text_(text) {}

  ScannedToml run() {
    while (at_ < text_.size()) {
      const auto byte = static_cast<unsigned char>(text_[at_]);
      if (byte >= 0x80) {
        if (const char* problem = beyond_ascii()) return refused(problem);
        continue;
      }
      if (is_control(byte)) return refused("holds a control character");
      if (byte == '\\' && is_basic_string() && beyond_ascii_follows()) {
        return refused("holds a character beyond ASCII after a backslash");
      }
      const bool quotes = byte == '"' || byte == '\'';
      if (quotes && quote_.empty() && !in_comment_ && !may_open_string()) {
        return refused("holds a quote out of place");
      }
      const std::size_t before = at_;
      step(text_[at_]);
      ascii_.append(text_.substr(before, at_ - before));
    }
    return {.problem = std::nullopt, .ascii = std::move(ascii_)};
  }

 private:
  ScannedToml refused(std::string_view why) const {
    return {.problem = ScanProblem{line_, why}, .ascii = {}};
  }

  /// Takes the character beyond ASCII that is next; why it cannot be taken, or null.
  const char* beyond_ascii() {
    const Character next = character_at(rest());
    if (next.size == 0) return "is not UTF-8";
    if (in_comment_) {
      ascii_ += '?';
    } else if (is_basic_string()) {
      static constexpr std::string_view kHex = "0123456789abcdef";
      ascii_ += "\\U";
      for (int shift = 28; shift >= 0; shift -= 4) ascii_ += kHex[(next.code >> shift) & 0xf];
    } else {
      return quote_.empty() ? "holds a character beyond ASCII outside of quotes"
                            : "holds a character beyond ASCII in single quotes; use double ones";
    }
    at_ += next.size;
    last_ = '?';
    return nullptr;
  }

  bool is_control(unsigned char byte) const {
    const bool ends_line = byte == '\n' || (byte == '\r' && rest().starts_with("\r\n"));
    return byte == 0x7f || (byte < 0x20 && byte != '\t' && !ends_line);
  }

  /// A string is a key, a part of one, or a value; elsewhere the parser reads on past its quote.
  bool may_open_string() const {
    return std::string_view("\n=[{,.").find(last_) != std::string_view::npos;
  }

  bool is_basic_string() const { return quote_.starts_with('"'); }

  /// After the backslash that is next, and the white space that it may swallow.
  bool beyond_ascii_follows() const {
    const std::size_t next = text_.find_first_not_of(" \t\r\n", at_ + 1);
    return next != std::string_view::npos && static_cast<unsigned char>(text_[next]) >= 0x80;
  }

  std::string_view rest() const { return text_.substr(at_); }

  void step(char c) {
    if (c != ' ' && c != '\t' && c != '\r') last_ = c;
    if (c == '\n') {
      ++line_;
      in_comment_ = false;
      if (quote_.size() == 1) quote_ = {};  // such a string ends with its line
      ++at_;
    } else if (in_comment_) {
      ++at_;
    } else if (!quote_.empty()) {
      in_string(c);
    } else if (c == '"' || c == '\'') {
      const bool three = rest().starts_with(c == '"' ? "\"\"\"" : "'''");
      quote_ = rest().substr(0, three ? 3 : 1);
      at_ += quote_.size();
    } else {
      in_comment_ = c == '#';
      ++at_;
    }
  }

  void in_string(char c) {
    const bool escape = c == '\\' && is_basic_string();
    if (escape && at_ + 1 < text_.size() && (text_[at_ + 1] == '"' || text_[at_ + 1] == '\\')) {
      at_ += 2;
    } else if (rest().starts_with(quote_)) {
      at_ += quote_.size();
      // Up to two quotes before the closing three belong to the string.
      for (int i = 0; i < 2 && quote_.size() == 3 && rest().starts_with(quote_[0]); ++i) ++at_;
      quote_ = {};
    } else {
      ++at_;
    }
  }

  std::string_view text_;
  std::size_t at_ = 0;
  std::size_t line_ = 1;
  std::string ascii_;
  bool in_comment_ = false;
  char last_ = '\n';        // the last that is no white space
  std::string_view quote_;  // what ends the string that `at_` is in
};

}  // namespace

ScannedToml scan_toml(std::string_view text) { return Scanner(text).run(); }

}  // namespace skald::config
