// Package discovery owns the answer to "where does this service live?".
//
// A [Registry] is told by instances that they exist. A client learns of them
// through gRPC's resolver, which is the other half of the same value: pass
// Resolver() to rpc.Dial and dial "<scheme>:///<service>". That is all of the
// seam; [Memory] is the registry of one process, and registries that many
// processes share come beside it.
//
// It promises that a service without instances is an UNAVAILABLE error which
// names the service, and that calls succeed again as soon as there is one,
// without a new dial.
//
// It refuses global state: no resolver is registered for the whole process, so
// that two systems in one process (a test's) cannot find each other's instances.
// Health is not its business either: a registry says who exists, grpc.health.v1
// says who can serve.
package discovery
