// Codecs of ranges.
#include <boost/test/unit_test.hpp>

#include "kv/range/command.h"
#include "kv/range/descriptor.h"
#include "kv/range/tombstone.h"

namespace skald::range {
namespace {

Descriptor sample() {
  using Role = Replica::Role;
  Descriptor d;
  d.id = RangeId{7};
  d.boundary = {"b", "m"};
  d.epoch = {3, 4};
  d.replicas = {{StoreId{1}, ReplicaId{1}, Role::kVoter},
                {StoreId{2}, ReplicaId{2}, Role::kOutgoing},
                {StoreId{3}, ReplicaId{3}, Role::kDemoting},
                {StoreId{4}, ReplicaId{9}, Role::kIncoming}};
  d.genesis = {5, 6, true};
  return d;
}

BOOST_AUTO_TEST_SUITE(parts)

BOOST_AUTO_TEST_CASE(descriptors_survive_their_codec_and_damage_is_refused) {
  const std::string bytes = encode(sample());
  BOOST_CHECK(*decode_descriptor(bytes) == sample());
  for (std::size_t cut = 0; cut < bytes.size(); ++cut) {
    BOOST_CHECK(!decode_descriptor(bytes.substr(0, cut)).ok());
  }
  std::string newer = bytes;
  newer[0] = 2;
  BOOST_CHECK(decode_descriptor(newer).error().message.find("newer") != std::string::npos);
}

BOOST_AUTO_TEST_CASE(roles_and_raft_configurations_are_one_to_one) {
  std::map<ReplicaId, StoreId> stores;
  for (const Replica& replica : sample().replicas) stores[replica.id] = replica.store;
  const raft::Config config = config_of(sample());
  BOOST_CHECK(config.joint());
  BOOST_CHECK(replicas_of(config, stores) == sample().replicas);
  BOOST_CHECK(config_of(Descriptor{}) == raft::Config{});
}

BOOST_AUTO_TEST_CASE(commands_survive_their_codec) {
  const Command commands[] = {
      {1, 9, UserCommand{{{NodeId{1}, LifeNumber{2}}, 3}, 4, 5, "x"}},
      {1, 9, EndLifeCommand{{NodeId{1}, LifeNumber{2}}, "y"}},
      {1, 9, SplitCommand{{1, 2}, "k", RangeId{8}}},
      {1, 9, SetLevelCommand{1}},
  };
  for (const Command& command : commands) {
    BOOST_CHECK(*decode_command(encode(command)) == command);
    BOOST_CHECK(!decode_command(encode(command) + "z").ok());
  }
  BOOST_CHECK(!decode_command(encode({kLevelNow + 1, 0, SetLevelCommand{1}})).ok());
  BOOST_CHECK(decode_tombstone(encode(Tombstone{ReplicaId{4}, sample()}))->descriptor == sample());
  BOOST_CHECK(tombstone_range(tombstone_key(RangeId{12})) == RangeId{12});
}

BOOST_AUTO_TEST_SUITE_END()

}  // namespace
}  // namespace skald::range
