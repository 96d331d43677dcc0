// Package fault owns the few kinds of error that MovieExample's packages
// distinguish, and the only mapping of those kinds to gRPC codes and to HTTP problems.
//
// A package that refuses something returns an *[Error] with a [Kind]; callers
// in between may wrap it with fmt.Errorf and %w any number of times. The
// edge turns any error into a status with [Status], a client turns the
// status back into an *Error with [FromRPC], and the HTTP gateway turns it into
// an RFC 9457 problem with [ToProblem]. They share one table.
//
// It promises that only text written for users reaches them: only the message
// of an *Error is sent, never the text of an error that wraps it or that it
// wraps, and an error of no known kind is [KindInternal], whose text is
// replaced and belongs in the log.
//
// It refuses to grow a kind per case. A new kind is justified when a caller must
// act differently on it; otherwise write a better message.
//
// The input checks ([ID], [RecordType], [Text]) live here because their only
// product is an error that names the field in the wire's spelling, says what is
// allowed and what was given.
package fault
