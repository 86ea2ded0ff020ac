// A connection of a session in an inbox, for tests that play the inbox by hand.
#pragma once

#include <cstdint>
#include <string>
#include <utility>
#include <vector>

#include "mqtt/session/session.h"
#include "tests/session/peer.h"

namespace skald::session::testing {

/// The CONNECT of a client whose session outlives the connection.
inline codec::Connect lasting(codec::Version version) {
  codec::Connect connect = connect_of(version);
  connect.clean_start = false;
  if (version == codec::Version::v5) connect.session_expiry_s = 100;
  return connect;
}

/// Publishes of the client are noted with their sequence and
/// whether they were accepted before, and acknowledged later.
struct Lasting {
  explicit Lasting(Workspace& of, codec::Version version = codec::Version::v5)
      : workspace(of), peer(of, version), connect(lasting(version)) {}

  /// What the session writes on it.
  Lines resumes(const Resume& resume) {
    peer.on_event = [this, &resume](Session::Event event) {
      if (event == Session::Event::connect) {
        peer.session.set_client_id("c");
        peer.session.accept(peer.identity, peer.now_ms, &resume);
      } else if (event == Session::Event::publish) {
        const mqtt::PublicationView& publication = workspace.publication;
        noted.push_back(std::string(publication.payload) + " " +
                        std::to_string(publication.info.sequence) +
                        (peer.session.accepted_before() ? " again" : ""));
        tickets.push_back(peer.session.defer_acknowledge());
      }
    };
    peer.send(codec::ControlPacket(connect));
    Lines lines = peer.received();
    if (!lines.empty() && lines[0] == "CONNACK 0x00") lines.erase(lines.begin());
    return lines;
  }

  struct What {
    codec::QoS qos = codec::QoS::at_least_once;
    mqtt::TimeMs expiry_ms = 0;
    std::size_t size = 1;
  };
  Stored give(inbox::Seq seq, const What& what, bool fetched) {
    mqtt::PublicationView view;
    const std::string payload(what.size, 'x');
    view.info.qos = what.qos;
    view.info.expiry_ms = what.expiry_ms;
    view.topic = "t";
    view.payload = payload;
    WireForms forms;
    forms.reset(view, peer.now_ms);
    const Delivery delivery{.granted = what.qos};
    return fetched ? peer.session.deliver_fetched(forms, delivery, seq)
                   : peer.session.deliver_stored(forms, delivery, seq);
  }
  Stored deliver(inbox::Seq seq, const What& what) { return give(seq, what, false); }
  Stored deliver(inbox::Seq seq, codec::QoS qos = codec::QoS::at_least_once) {
    return give(seq, {.qos = qos}, false);
  }
  Stored fetched(inbox::Seq seq, codec::QoS qos = codec::QoS::at_least_once) {
    return give(seq, {.qos = qos}, true);
  }
  void publish(std::uint16_t id, const char* payload, codec::QoS qos = codec::QoS::exactly_once) {
    peer.send(Publish{.payload = payload, .qos = qos, .packet_id = id});
  }
  Lines take_noted() { return std::exchange(noted, {}); }

  Workspace& workspace;
  Peer peer;
  codec::Connect connect;
  Lines noted;
  std::vector<std::uint32_t> tickets;
};

using Seqs = std::vector<inbox::Seq>;
using Ids = std::vector<std::uint16_t>;

}  // namespace skald::session::testing
