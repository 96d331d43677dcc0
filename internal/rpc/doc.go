// Package rpc owns both ends of gRPC: how a service is served, how it is called,
// and the connection without a network for both in one process.
//
// A [Server] serves every registered service over the network ([Server.Serve])
// and over the in-process connection ([Server.Conn]). Both use the same handler,
// so that a call is identified, bounded in time, protected from panics, mapped to
// a status, logged and counted in one place. [Dial] returns a connection to a
// server elsewhere. A caller must not be able to distinguish the two kinds of
// grpc.ClientConnInterface: conn_test.go runs one suite over both.
//
// It promises:
//   - Every unary call has a deadline. A call made while serving a call gets a
//     little less time than its caller has, so that the caller can still answer.
//   - Every call has a request id ([RequestID]), which travels with the calls
//     made on its behalf and comes back to the caller as metadata "x-request-id":
//     as a header with an answer, as a trailer with an error. (A header would
//     commit the call, and a client must not retry a committed call.)
//   - A handler's error is sent as [fault.Status] maps it. The text of internal
//     errors stays in the log.
//   - Retries happen in one layer, the client of [Dial], for the methods its
//     configuration names, on UNAVAILABLE, within a budget. There are none in
//     process: retrying a local handler does not make it more available.
//
// It refuses to know any service: contracts, addresses and idempotent methods
// come from outside.
package rpc
