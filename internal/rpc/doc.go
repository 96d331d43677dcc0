// Package rpc owns gRPC at both ends: how a service is served, how a service is
// called, and the connection that does without a network when both are in one
// process.
//
// A [Server] puts every registered service on two doors: the network
// ([Server.Serve]) and the in-process connection ([Server.Conn]). Behind both is
// the same handler, so that a call is identified, bounded in time, protected
// from panics, mapped to a status, logged and counted in one place. [Dial] gives
// the connection to a server elsewhere. The holder of a
// grpc.ClientConnInterface from either must not be able to distinguish them:
// conn_test.go runs one suite over both.
//
// It promises:
//   - Every unary call has a deadline. A call made while serving a call gets a
//     little less time than its caller has, so that the caller can still answer.
//   - Every call has a request id ([RequestID]), which travels with the calls
//     made on its behalf and comes back to the caller as metadata "x-request-id":
//     as a header with an answer, as a trailer with an error. (A header would
//     commit the call, and a client must not retry a committed call.)
//   - A handler's error leaves as [fault.Status] says. What is internal stays in
//     the log.
//   - Retries happen in one layer, the client of [Dial], for the methods its
//     configuration names, on UNAVAILABLE, within a budget. There are none in
//     process: a handler that is there does not become more there.
//
// It refuses to know any service: contracts, addresses and idempotent methods
// come from outside.
package rpc
