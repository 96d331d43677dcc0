// Package telemetry has what an operator needs to observe a process: structured logs, a metrics registry, build information, and
// the admin HTTP listener that serves them together with liveness, readiness and profiles.
//
// It promises that nothing here is global: a logger and a registry are made once, by the composition root, and handed to
// the packages that need them. Two systems in one test process share nothing.
//
// The admin listener speaks without authentication and shows profiles. It belongs on loopback or
// on a network that only operators reach; the program that opens the listener decides which addresses are allowed.
//
// It refuses to know any service: named checks define what "ready" means.
package telemetry
