// The set of packet ids a client has open: QoS 2 publishes received and not yet released.
//
// Blocks of 1024 ids come and go with use, so that a session with a few neighbouring ids open,
// which is how clients number them, costs one block.
#pragma once

#include <array>
#include <cstdint>
#include <memory>

namespace skald::session {

class PacketIdSet {
 public:
  bool contains(std::uint16_t id) const {
    const Block* block = blocks_ ? (*blocks_)[id / kBits].get() : nullptr;
    return block != nullptr && (block->words[word(id)] & bit(id)) != 0;
  }

  /// False when it is there already.
  bool insert(std::uint16_t id) {
    if (!blocks_) blocks_ = std::make_unique<Blocks>();
    std::unique_ptr<Block>& block = (*blocks_)[id / kBits];
    if (!block) block = std::make_unique<Block>();
    if ((block->words[word(id)] & bit(id)) != 0) return false;
    block->words[word(id)] |= bit(id);
    ++block->count;
    ++size_;
    return true;
  }

  /// False when it is not there.
  bool erase(std::uint16_t id) {
    if (!contains(id)) return false;
    std::unique_ptr<Block>& block = (*blocks_)[id / kBits];
    block->words[word(id)] &= ~bit(id);
    if (--block->count == 0) block.reset();
    if (--size_ == 0) blocks_.reset();
    return true;
  }

  std::size_t size() const { return size_; }

 private:
  static constexpr std::size_t kBits = 1024;
  struct Block {
    std::array<std::uint64_t, kBits / 64> words{};
    std::uint16_t count = 0;
  };
  using Blocks = std::array<std::unique_ptr<Block>, 65536 / kBits>;

  static constexpr std::size_t word(std::uint16_t id) { return (id % kBits) / 64; }
  static constexpr std::uint64_t bit(std::uint16_t id) { return std::uint64_t{1} << (id % 64); }

  std::unique_ptr<Blocks> blocks_;
  std::uint32_t size_ = 0;
};

}  // namespace skald::session
