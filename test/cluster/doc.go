//go:build linux

// Package cluster runs the whole distributed system on this machine: MariaDB, Kafka and Consul from package servers, and
// several processes of each service from the real binary, one service per process, as deploy/compose.yaml has them in
// containers.
//
// What it promises:
//
//   - Start returns when everything is ready, or an error with the end of the log of what is not. New starts the servers only,
//     for those who want another order.
//   - Each process has a name (rating-1), a directory, a log, and ports that stay the same in all its lives; it can be
//     killed, stopped, paused, and started again, as another version too.
//   - Each service has its own database, and a user that may do there what deploy/mysql says and nothing else. Passwords
//     are in files and on no command line.
//   - Nothing outlives the program that started the cluster, whatever way that ends. A directory that was not given is removed.
//
// What it refuses: it installs nothing (test/servers/install does), and listens on nothing but 127.0.0.1. It runs on Linux only.
//
// Command up beside it is the same for people: `make cluster` and `make cluster-down`.
package cluster
