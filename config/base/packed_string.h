// An immutable string in one allocation, behind one pointer: for ordered sets with many members,
// where the 32 bytes of a std::string and its slack weigh.
#pragma once

#include <cstdint>
#include <cstring>
#include <memory>
#include <string_view>

namespace skald {

class PackedString {
 public:
  /// Requires: less than 4 GiB.
  explicit PackedString(std::string_view text)
      : bytes_(std::make_unique_for_overwrite<char[]>(sizeof(std::uint32_t) + text.size())) {
    const auto size = static_cast<std::uint32_t>(text.size());
    std::memcpy(bytes_.get(), &size, sizeof size);
    if (!text.empty()) std::memcpy(bytes_.get() + sizeof size, text.data(), text.size());
  }

  std::string_view view() const {
    std::uint32_t size = 0;
    std::memcpy(&size, bytes_.get(), sizeof size);
    return {bytes_.get() + sizeof size, size};
  }

  struct Less {
    using is_transparent = void;
    static std::string_view view(const PackedString& text) { return text.view(); }
    static std::string_view view(std::string_view text) { return text; }
    template <class A, class B>
    bool operator()(const A& a, const B& b) const {
      return view(a) < view(b);
    }
  };

 private:
  std::unique_ptr<char[]> bytes_;
};

}  // namespace skald
