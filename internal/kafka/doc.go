// Package kafka is Kafka at both ends: clients, a producer whose waits are
// bounded, topics made with explicit settings, and an embedded broker for one
// machine.
//
// What it owns: how this system reaches Kafka (time-outs, retries, log lines)
// and what a publisher may believe about a record it handed over. It knows no
// film, no rating and no user; keys and values are bytes.
//
// What it promises:
//
//   - [Broker] speaks Kafka's protocol on exactly the address it was given. With a
//     data directory, a record that was acknowledged survives the death of the
//     process (SIGKILL) and a clean stop. One process at a time owns a directory.
//   - Whatever comes to its port, it holds a bounded amount of memory, connections and topics ([Limits]), and what it
//     acknowledges can be read. As a [BrokerProcess] it cannot end the process that it is for, and is started again
//     whenever it ends.
//   - [Producer] never waits for ever. Every record that [Producer.Publish] accepted
//     is answered exactly once: acknowledged with its offset, refused with the
//     reason, not sent, or with an unknown outcome. The four are kept apart, because
//     only the third may be repeated without thinking about duplicates.
//   - [EnsureTopic] creates what is missing and changes nothing that is there.
//
// What it refuses: the embedded broker has no replication, no TLS, no
// authentication and one goroutine for everything. It is for one machine, on
// loopback or a trusted network. For more, run Apache Kafka and give its address
// to the same clients.
//
// The embedded broker loses producer sequence numbers when it is killed. A
// batch whose acknowledgement was lost in that moment can then be in the log twice.
// Consumers have to be able to take an event twice anyway, since Kafka delivers at
// least once.
package kafka
