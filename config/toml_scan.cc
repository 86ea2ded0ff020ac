#include "config/toml_scan.h"

namespace skald::config {
namespace {

/// Follows strings and comments from byte to byte.
class Scanner {
 public:
  explicit Scanner(std::string_view text) : text_(text) {}

  std::optional<ScanProblem> run() {
    while (at_ < text_.size()) {
      const auto byte = static_cast<unsigned char>(text_[at_]);
      if (is_control(byte)) return ScanProblem{line_, "holds a control character"};
      if (byte >= 0x80 && quote_.empty() && !in_comment_) {
        return ScanProblem{line_, "holds a character beyond ASCII outside of quotes"};
      }
      if (byte == '\\' && is_basic_string() && beyond_ascii_follows()) {
        return ScanProblem{line_, "holds a character beyond ASCII after a backslash"};
      }
      const bool quotes = byte == '"' || byte == '\'';
      if (quotes && quote_.empty() && !in_comment_ && !may_open_string()) {
        return ScanProblem{line_, "holds a quote out of place"};
      }
      step(text_[at_]);
    }
    return std::nullopt;
  }

 private:
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
  bool in_comment_ = false;
  char last_ = '\n';        // the last that is no white space
  std::string_view quote_;  // what ends the string that `at_` is in
};

}  // namespace

std::optional<ScanProblem> scan_toml(std::string_view text) { return Scanner(text).run(); }

}  // namespace skald::config
