// Reference counts inside the object: what persistent structures share between their versions.
//
// The count is the only thing in the pure cores that is atomic: an immutable snapshot is read and
// let go of on other threads while its owner goes on. An object with one reference belongs to
// whoever holds it and may be changed in place; one with more is never changed again.
#pragma once

#include <atomic>
#include <cstdint>
#include <utility>

namespace skald::topic {

/// Base of shared objects. Born with one reference, which belongs to the creator.
class Counted {
 public:
  Counted() = default;
  Counted(const Counted&) : references_(1) {}  // a copy is a new object
  Counted& operator=(const Counted&) = delete;

  void retain() const { references_.fetch_add(1, std::memory_order_relaxed); }

  /// True when that was the last reference: the caller destroys the object.
  [[nodiscard]] bool release() const {
    return references_.fetch_sub(1, std::memory_order_acq_rel) == 1;
  }

  /// True when the caller, who holds a reference, holds the only one. Acquire: what readers on
  /// other threads did before they let go happens before what the caller now does to the object.
  bool unique() const { return references_.load(std::memory_order_acquire) == 1; }

 protected:
  ~Counted() = default;

 private:
  mutable std::atomic<std::uint32_t> references_{1};
};

/// A strong pointer to a Counted object of class T; may be null.
template <class T>
class Ref {
 public:
  Ref() = default;
  Ref(const Ref& other) : object_(other.object_) {
    if (object_ != nullptr) object_->retain();
  }
  Ref(Ref&& other) noexcept : object_(std::exchange(other.object_, nullptr)) {}
  Ref& operator=(Ref other) noexcept {
    std::swap(object_, other.object_);
    return *this;
  }
  ~Ref() {
    if (object_ != nullptr && object_->release()) delete object_;
  }

  /// Takes over the reference that `object` was born with.
  static Ref adopt(T* object) {
    Ref ref;
    ref.object_ = object;
    return ref;
  }
  /// Adds a reference.
  static Ref share(T* object) {
    if (object != nullptr) object->retain();
    return adopt(object);
  }

  T* get() const { return object_; }
  T& operator*() const { return *object_; }
  T* operator->() const { return object_; }
  explicit operator bool() const { return object_ != nullptr; }

 private:
  T* object_ = nullptr;
};

}  // namespace skald::topic
