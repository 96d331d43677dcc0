//go:build linux

// Package cluster runs the whole distributed system on this machine: MariaDB, Kafka and Consul from package servers, and
// several processes of each service from the real binary, one service per process, as deploy/compose.yaml has them in
// containers.
//
// What it promises:
//
//   - Start returns when everything is ready, or an error with the end of the log of a process that is not. New starts
//     only the servers, for callers that need another order.
//   - Each process has a name (rating-1), a directory, a log, and ports that a restart does not change; it can be
//     killed, stopped, paused, and restarted, also as another version.
//   - Each service has its own database, and a user with only the rights in deploy/mysql. Passwords are in files, never on
//     a command line.
//   - Nothing outlives the program that started the cluster, in whatever way that ends. A temporary directory is removed.
//
// What it refuses: it installs nothing (test/servers/install does), and listens on nothing but 127.0.0.1. It runs on Linux only.
//
// Command up beside it starts a cluster by hand: `make cluster` and `make cluster-down`.
package cluster
