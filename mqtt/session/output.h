// Bytes on their way to one client: what the session wrote and the socket has not yet taken.
//
// Small packets are copied into one contiguous buffer (below about 2 KB cheaper than writev); large
// payloads are referenced where they lie. An Output without pending bytes owns no buffer: buffers
// come from and go back to the loop's BufferPool, so that idle connections cost nothing.
#pragma once

#include <cstdint>
#include <cstring>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "mqtt/publication.h"

namespace skald::session {

/// Spare output buffers of one loop. Not thread safe.
class BufferPool {
 public:
  struct Buffer {
    std::unique_ptr<char[]> bytes;
    std::uint32_t capacity = 0;
  };

  /// A buffer of at least `capacity` bytes.
  Buffer take(std::size_t capacity);
  void give(Buffer buffer);

 private:
  static constexpr std::size_t kSpareMax = 64;
  static constexpr std::uint32_t kSmallest = 4096;
  static constexpr std::uint32_t kLargestKept = 512 * 1024;

  std::vector<Buffer> spare_;
};

class Output {
 public:
  /// One piece for writev.
  struct Piece {
    const char* data;
    std::size_t size;
  };

  explicit Output(BufferPool& pool) : pool_(&pool) {}
  ~Output() { clear(); }
  Output(const Output&) = delete;
  Output& operator=(const Output&) = delete;

  bool empty() const { return pending_ == 0; }
  /// Bytes waiting, referenced payloads included.
  std::size_t size() const { return pending_; }

  /// Of these, control packets that overtake.
  std::size_t urgent_size() const { return urgent_ ? urgent_->bytes.size() - urgent_->sent : 0; }

  /// Room for `n` bytes at the end, which count as written at once. Valid until the next call.
  /// Requires: whole packets, or a head that append_payload completes, are written before the next
  /// append_control or consume.
  char* extend(std::size_t n) {
    if (buffer_.capacity - end_ < n) grow(n);
    char* at = buffer_.bytes.get() + end_;
    end_ += static_cast<std::uint32_t>(n);
    pending_ += n;
    return at;
  }
  void append(std::string_view bytes) {
    if (!bytes.empty()) std::memcpy(extend(bytes.size()), bytes.data(), bytes.size());
  }
  /// Appends the payload of `publication` without copying it.
  void append_payload(mqtt::PublicationRef publication);
  /// Appends whole packets that should not wait behind bulk data (acks, PINGRESP): when much is
  /// waiting they go out before it, after what was appended by this function earlier.
  void append_control(std::string_view packets);

  /// Fills `pieces` with the first pending bytes in order; returns how many are set.
  std::size_t pieces(Piece* pieces, std::size_t max) const;
  /// The socket took the first `n` pending bytes. Requires: n <= size().
  void consume(std::size_t n);
  /// Drops everything.
  void clear();

 private:
  /// A payload that goes out after the buffer's bytes up to `position`.
  struct Reference {
    std::uint32_t position;
    mqtt::PublicationRef publication;
  };
  struct Urgent {
    std::string bytes;
    std::size_t sent = 0;
  };
  struct PacketEnd {
    std::uint32_t buffer;  // where its bytes in the buffer end
    std::size_t size;      // of the whole packet, with its referenced payload
    bool referenced;
  };

  /// Control packets are appended like any other while less than this waits.
  static constexpr std::size_t kUrgentFrom = 16 * 1024;

  void grow(std::size_t n);
  void rebase(std::uint32_t by);
  PacketEnd packet_end() const;
  std::uint32_t urgent_position() const;
  std::size_t consume_urgent(std::size_t n);
  std::size_t consume_packet(std::size_t n);

  BufferPool* pool_;
  BufferPool::Buffer buffer_;
  std::uint32_t end_ = 0;
  std::uint32_t packet_ = 0;       // where the first packet not wholly sent starts
  std::uint32_t control_end_ = 0;  // end of the last control packet in the buffer
  std::size_t packet_sent_ = 0;    // bytes of that packet already sent
  std::size_t pending_ = 0;
  std::unique_ptr<std::vector<Reference>> references_;
  std::unique_ptr<Urgent> urgent_;
};

}  // namespace skald::session
