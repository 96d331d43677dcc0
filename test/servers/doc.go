//go:build linux

// Package servers starts real servers for tests, on this machine: MariaDB, Apache Kafka, Consul. Each has a directory,
// loopback ports, a log and its own process; it can be killed, stopped, paused, and started again on the same data
// and ports. A Proxy stands between a client and a server and breaks connections at the byte a test names; a SmallDisk
// runs full.
//
// What it promises:
//
//   - A Start function returns a server that answers, or an error with the end of the server's log.
//   - A fault that did not happen is an error: killing a server that is not running fails.
//   - Nothing outlives the program: the kernel ends the servers when the program that started them dies, in any
//     way, and the next program removes the files that it left behind.
//
// What it refuses: it installs nothing (test/servers/install does, and the errors say so), it listens on nothing but
// 127.0.0.1, and it does not skip when a server is missing. It works on Linux only.
//
// The tests beside it that need these servers are built with the tag "servers" and run by `make test-servers`.
package servers
