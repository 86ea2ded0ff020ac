// Golden scripts for the Raft core: commands, a line of dashes, the exact output.
//
// A block is some command lines, "----", the output, a blank line; lines that begin with # are
// comments. Commands (ID is a replica, [] is optional):
//   group N [learners=4,5] [option=value ...]   replicas 1..N, voters but for the learners
//   node ID [option=value ...]                  a replica that knows nothing yet
//   tick ID [n]     campaign ID     propose ID text [size=bytes]     read ID context
//   change ID voters=1,2 [learners=3]     transfer ID TO     disconnected ID PEER
//   ready ID        takes a Ready and prints it; its messages and writes wait
//   sync ID [n]     n queued writes (or all) become durable     apply ID
//   deliver ID [from=ID] [n=count]   drop ID [...]   duplicate ID [...] (delivers and keeps)
//   forge FROM TO term=T prev=I prev_term=T commit=I   an empty Append made by hand
//   drop            everything under way is lost
//   block A B       what A sends to B is lost       unblock
//   crash ID (what is under way to it is lost)     restart ID     compact ID index     snapshot
//   FROM TO [lost] stabilize [ID ...] [quiet]       runs those (or all) until nothing moves status
//   [ID]     log ID     network
#pragma once

#include <string>

namespace skald::raft::script {

/// The script with its outputs as they come out now.
std::string run(const std::string& script);

}  // namespace skald::raft::script
