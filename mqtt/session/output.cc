#include "mqtt/session/output.h"

#include <algorithm>
#include <bit>

#include "config/base/assert.h"

namespace skald::session {

BufferPool::Buffer BufferPool::take(std::size_t capacity) {
  while (!spare_.empty()) {
    Buffer buffer = std::move(spare_.back());
    spare_.pop_back();
    if (buffer.capacity >= capacity) return buffer;
  }
  const std::size_t rounded = std::bit_ceil(std::max<std::size_t>(capacity, kSmallest));
  SKALD_ASSERT(rounded <= 0x8000'0000U);
  return {std::unique_ptr<char[]>(new char[rounded]), static_cast<std::uint32_t>(rounded)};
}

void BufferPool::give(Buffer buffer) {
  if (buffer.capacity == 0 || buffer.capacity > kLargestKept) return;
  if (spare_.size() < kSpareMax) spare_.push_back(std::move(buffer));
}

void Output::append_payload(mqtt::PublicationRef publication) {
  if (publication->payload().empty()) return;
  pending_ += publication->payload().size();
  if (!references_) references_ = std::make_unique<std::vector<Reference>>();
  references_->push_back({.position = end_, .publication = std::move(publication)});
}

void Output::append_control(std::string_view packets) {
  if (urgent_ == nullptr && pending_ < kUrgentFrom) {
    append(packets);
    control_end_ = end_;
    return;
  }
  if (urgent_ == nullptr) urgent_ = std::make_unique<Urgent>();
  urgent_->bytes.append(packets);
  pending_ += packets.size();
}

/// The first packet not wholly sent. Requires: there is one in the buffer.
Output::PacketEnd Output::packet_end() const {
  const char* at = buffer_.bytes.get() + packet_;
  std::size_t length = 0;
  std::uint32_t shift = 0;
  std::uint32_t i = 1;
  for (;; ++i, shift += 7) {
    const auto byte = static_cast<unsigned char>(at[i]);
    length |= std::size_t{byte & 0x7FU} << shift;
    if ((byte & 0x80U) == 0) break;
  }
  const std::size_t size = i + 1 + length;
  if (references_ && !references_->empty() && references_->front().position < packet_ + size) {
    return {references_->front().position, size, true};
  }
  return {static_cast<std::uint32_t>(packet_ + size), size, false};
}

/// Where in the buffer the urgent packets go in: a packet boundary.
std::uint32_t Output::urgent_position() const {
  const std::uint32_t boundary = packet_sent_ == 0 ? packet_ : packet_end().buffer;
  return std::max(boundary, control_end_);
}

std::size_t Output::pieces(Piece* pieces, std::size_t max) const {
  std::size_t count = 0;
  std::size_t skip = packet_sent_;  // of the first packet
  const auto add = [&](const char* data, std::size_t size) {
    const std::size_t skipped = std::min(skip, size);
    skip -= skipped;
    if (size > skipped && count < max) pieces[count++] = {data + skipped, size - skipped};
  };
  const std::uint32_t urgent_at = urgent_ ? urgent_position() : 0;
  bool urgent_due = urgent_ != nullptr;
  std::uint32_t at = packet_;
  std::size_t reference = 0;
  const auto add_until = [&](std::uint32_t position) {
    while (references_ && reference < references_->size() &&
           (*references_)[reference].position <= position && count < max) {
      const Reference& to = (*references_)[reference++];
      add(buffer_.bytes.get() + at, to.position - at);
      at = to.position;
      add(to.publication->payload().data(), to.publication->payload().size());
    }
    add(buffer_.bytes.get() + at, position - at);
    at = position;
  };
  if (urgent_due) {
    add_until(urgent_at);
    add(urgent_->bytes.data() + urgent_->sent, urgent_->bytes.size() - urgent_->sent);
  }
  add_until(end_);
  return count;
}

std::size_t Output::consume_urgent(std::size_t n) {
  const std::size_t taken = std::min(n, urgent_->bytes.size() - urgent_->sent);
  urgent_->sent += taken;
  if (urgent_->sent == urgent_->bytes.size()) urgent_.reset();
  return taken;
}

std::size_t Output::consume_packet(std::size_t n) {
  const PacketEnd end = packet_end();
  const std::size_t taken = std::min(n, end.size - packet_sent_);
  packet_sent_ += taken;
  if (packet_sent_ == end.size) {
    packet_ = end.buffer;
    packet_sent_ = 0;
    if (end.referenced) references_->erase(references_->begin());
  }
  return taken;
}

void Output::consume(std::size_t n) {
  SKALD_ASSERT(n <= pending_);
  pending_ -= n;
  if (pending_ == 0) {
    clear();
    return;
  }
  while (n > 0) {
    const bool urgent_next = urgent_ && packet_sent_ == 0 && packet_ >= control_end_;
    n -= urgent_next ? consume_urgent(n) : consume_packet(n);
  }
}

void Output::clear() {
  if (buffer_.capacity > 0) pool_->give(std::exchange(buffer_, {}));
  end_ = 0;
  packet_ = 0;
  control_end_ = 0;
  packet_sent_ = 0;
  pending_ = 0;
  references_.reset();
  urgent_.reset();
}

/// The buffer's first `by` bytes are gone.
void Output::rebase(std::uint32_t by) {
  if (references_) {
    for (Reference& reference : *references_) reference.position -= by;
  }
  end_ -= by;
  packet_ -= by;
  control_end_ = control_end_ > by ? control_end_ - by : 0;
}

void Output::grow(std::size_t n) {
  const std::size_t used = end_ - packet_;
  if (packet_ > 0 && packet_ >= used && buffer_.capacity - used >= n) {  // the moved half pays
    std::memmove(buffer_.bytes.get(), buffer_.bytes.get() + packet_, used);
    rebase(packet_);
    return;
  }
  BufferPool::Buffer larger = pool_->take(std::max(used + n, used * 2));
  if (used > 0) std::memcpy(larger.bytes.get(), buffer_.bytes.get() + packet_, used);
  rebase(packet_);
  pool_->give(std::exchange(buffer_, std::move(larger)));
}

}  // namespace skald::session
