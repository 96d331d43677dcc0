// Package kafka provides both ends of Kafka: clients, a producer whose waits are
// bounded, topics with explicit settings, and an embedded broker for one machine.
//
// What it owns: how this system reaches Kafka (time-outs, retries, log lines)
// and what a publisher knows about a record that it published. It knows no film, no
// rating and no user; keys and values are bytes.
//
// What it promises:
//
//   - [Broker] speaks Kafka's protocol on exactly the address it was given. With a
//     data directory, a record that was acknowledged survives the death of the
//     process (SIGKILL) and a clean stop. One process at a time owns a directory.
//   - Whatever clients send, it holds a bounded amount of memory, connections and topics ([Limits]), and every record
//     that it acknowledges can be read. As a [BrokerProcess] it cannot end the process that supervises it, and is
//     restarted whenever it exits.
//   - [Producer] never waits forever. Every record that [Producer.Publish] accepted
//     is answered exactly once: acknowledged with its offset, refused with the
//     reason, not sent, or with an unknown outcome. The four are kept apart, because
//     only the third may be repeated without thinking about duplicates.
//   - [EnsureTopic] creates a missing topic and never changes an existing one.
//
// What it refuses: the embedded broker has no replication, no TLS, no
// authentication and one goroutine for everything. It is for one machine, on
// loopback or a trusted network. For anything else, run Apache Kafka and give its
// address to the same clients.
//
// The embedded broker loses producer sequence numbers when it is killed. A batch
// whose acknowledgement was lost at that moment can then be in the log twice.
// Consumers must tolerate duplicates anyway, since Kafka delivers at least once.
package kafka
