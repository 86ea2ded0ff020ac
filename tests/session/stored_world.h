// A session in an inbox, its client and the network between them, as naive models: connections
// break, commits take their time or are lost with their node, effects go missing.
//
// Whoever owns it says what happens next by `Choose`: a seeded random source, or a fuzzer's bytes.
// What must hold is checked at each step:
// - QoS 2 reaches its receiver exactly once, both ways; QoS 1 at least once;
// - on one connection messages come in order of their seq, each once, with the id of the seq;
// - DUP is set on what an earlier connection may have sent and on nothing else;
// - the client's Receive Maximum holds, and no two open messages have the same id;
// - a publish that is handed out again has its sequence of before, not below what was said to be
//   done;
// - when the network heals nothing is left over.
#pragma once

#include <cstdint>
#include <deque>
#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <set>
#include <string>
#include <vector>

#include "mqtt/inbox/types.h"
#include "mqtt/session/session.h"
#include "tests/session/peer.h"

namespace skald::session::testing {

/// The client's own memory, which survives its connections.
class ClientModel {
 public:
  struct Outgoing {
    std::uint16_t id = 0;
    std::uint64_t number = 0;
    codec::QoS qos = codec::QoS::at_least_once;
    bool released = false;  // PUBREC came
    bool counted = false;   // sent on this connection as PUBLISH
  };

  /// A connection begins: what is open goes out again.
  void connected(codec::Version version, std::size_t window, inbox::Seq dup_up_to);
  void publish(codec::QoS qos, std::size_t quota);
  void receive(const Received& packet);
  /// Sends the oldest ack that is due, or one that overtakes.
  void ack(std::size_t which);

  std::string to_broker;
  std::deque<codec::Ack> acks;  // due
  std::vector<Outgoing> outgoing;
  std::map<inbox::Seq, int> got;       // by QoS 1
  std::map<inbox::Seq, int> got_once;  // by QoS 2
  std::map<std::uint64_t, codec::QoS> published;
  std::string fault;

 private:
  void on_message(const Message& message);
  void on_ack(const codec::Ack& ack);
  void send(const Outgoing& publish, bool dup);
  void fail(const std::string& what) {
    if (fault.empty()) fault = what;
  }

  codec::Version version_ = codec::Version::v5;
  std::size_t window_ = 1;
  inbox::Seq dup_up_to_ = 0;
  inbox::Seq last_ = 0;           // on this connection
  std::set<std::uint16_t> open_;  // towards it, of this connection
  std::set<std::uint16_t> held_;  // QoS 2 not released
  std::uint16_t next_id_ = 0;
  std::uint64_t last_number_ = 0;
};

/// What was read of a queue.
struct Reading {
  std::vector<inbox::Seq> seqs;
  inbox::Seq end = 0;
};

class StoredWorld {
 public:
  /// A number below the given one.
  using Choose = std::function<std::uint32_t(std::uint32_t)>;

  explicit StoredWorld(Choose choose);
  void step();
  /// Everything that is on its way arrives; then nothing may be left over.
  void heal();
  /// What went wrong first; empty: nothing.
  const std::string& fault() const { return client_.fault.empty() ? fault_ : client_.fault; }
  /// What happened, so that a test can tell that it met what it is for.
  struct Tally {
    int connections = 0;
    int resumed_receipts = 0;  // PUBREL sent again
    int repeats = 0;           // publishes handed out again
    int fetches = 0;
    int no_room = 0;
    int got = 0;
    int published = 0;
    int dups = 0;
  };
  const Tally& tally() const { return tally_; }

 private:
  struct Operation {
    enum class Kind : std::uint8_t { accept, handed_out, release, received, finish } kind;
    std::uint64_t value = 0;  // packet id or seq
    std::uint64_t sequence = 0;
  };
  struct Job {  // a publish of the client on its way to its receivers
    std::uint32_t ticket = 0;
    std::uint64_t number = 0;
    std::uint64_t sequence = 0;
    std::uint16_t packet_id = 0;
    codec::QoS qos = codec::QoS::at_least_once;
    bool accepted = false;
    bool handed_out = false;
  };
  struct Queued {
    mqtt::PublicationRef publication;
    codec::QoS qos;
  };

  void connect();
  void disconnect();
  void on_event(Session::Event event);
  void on_publish();
  void insert();
  Stored give(inbox::Seq seq, bool fetched);
  void deliver_effect();
  void drop_unsent();
  void read_queue();
  void collect();
  void apply(const Operation& operation);
  void work(std::size_t job);
  void hand_out(Job& job);
  void fail(const std::string& what) {
    if (fault_.empty()) fault_ = what;
  }

  Choose choose_;
  Workspace workspace_;
  std::unique_ptr<Peer> peer_;
  ClientModel client_;
  // the inbox
  std::map<inbox::Seq, Queued> queue_;
  std::map<std::uint16_t, inbox::Accepted> accepted_;
  std::set<inbox::Seq> received_;
  inbox::Seq last_ = 0;
  inbox::Seq first_ = 0;
  inbox::Seq sent_up_to_ = 0;
  std::uint64_t incarnation_ = 0;
  std::set<inbox::Seq> dropped_;
  std::map<inbox::Seq, codec::QoS> inserted_;
  // what is under way
  std::deque<Operation> operations_;
  std::deque<inbox::Seq> effects_;
  std::vector<Job> jobs_;
  std::optional<Reading> reading_;
  // the receivers of the client's publishes
  std::map<std::uint64_t, std::uint64_t> number_of_;    // by sequence
  std::map<std::uint64_t, std::uint64_t> sequence_of_;  // QoS 2, by number
  std::uint64_t done_below_ = 0;
  mqtt::TimeMs now_ms_ = 1'000'000;
  WireForms forms_;
  std::string fault_;
  Tally tally_;
};

}  // namespace skald::session::testing
