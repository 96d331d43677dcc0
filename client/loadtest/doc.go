// Package loadtest puts a system under a known load and reports the latencies that callers would have seen.
//
// The load is an open loop: the rate and the seed alone decide when each request is due, and a slow answer does not delay
// the next request. Latency counts from the moment a request was due, not from when it was sent. A generator that waits for
// an answer before it sends again is a closed loop: while the system stalls it sends nothing, and the wait of all other
// callers is missing from its numbers (Gil Tene called that coordinated omission).
//
// It promises:
//
//   - The number of requests in flight is bounded, and so are the rate, the duration and the wait of one request. A request
//     that got no place within [Plan.Patience] of its due time is not sent; it is counted, and its wait is in the latencies.
//   - A request without an answer (not sent, or timed out) counts in the latencies with the time waited, a lower bound.
//     Requests answered with an error do not, since errors are often fast. They are counted by code.
//   - A request belongs to the warm-up if it was due in it, so that no slow request is missing from the numbers.
//   - [Report] says how late the generator itself was and how much processor time it took, since it usually runs on
//     the machine that it measures.
//
// [Run] takes any source of calls; [Connect] makes one for the endpoints of MovieExample: gRPC, REST, pages and rating
// events, for films that it reads from the system itself. It refuses targets that are not on this machine, unless told that
// this is meant: a load on another machine must not be a typing mistake.
package loadtest
