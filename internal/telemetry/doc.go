// Package telemetry is what an operator watches a process with: structured logs, a metrics registry, the facts of the
// build, and the admin HTTP listener that serves them together with liveness, readiness and profiles.
//
// It promises that nothing here is global: a logger and a registry are made once, by the composition root, and handed to
// whoever needs them. Two systems in one test process share nothing.
//
// The admin listener speaks without authentication and shows profiles and the command line. It belongs on loopback or
// on a network that only operators reach; which addresses are allowed is decided by the program that opens the listener.
//
// It refuses to know any service: what "ready" means is told to it by named checks.
package telemetry
