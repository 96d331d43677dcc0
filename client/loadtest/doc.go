// Package loadtest puts a system under a load that it knows, and says what callers would have felt.
//
// The load is an open loop: when each request is due follows from the rate and the seed alone, and a slow answer does not
// put off the next request. Latency counts from the moment a request was due, not from when it was sent. A generator that
// waits for an answer before it asks again does the opposite: while the system stands still it asks nothing, and the wait that
// all other callers would have had is in no number (Gil Tene called that coordinated omission).
//
// It promises:
//
//   - The number of requests under way is bounded, and so are the rate, the duration and the wait of one request. A request
//     that found no place within [Plan.Patience] of its time was not sent; it is counted, and its wait is in the latencies.
//   - Whoever waits in vain (not sent, no answer in time) counts in the latencies with the time waited, a lower bound.
//     Requests that were answered with an error do not: an error is often fast. They are counted by code.
//   - What belongs to the warm-up is decided by when a request was due, so that no slow request falls out of the numbers.
//   - [Report] says how late the generator itself was and how much processor time it took, since it mostly runs on
//     the machine that it measures.
//
// [Run] takes any source of calls; [Connect] makes one for the endpoints of MovieExample: gRPC, REST, pages and rating
// events, for films that it reads from the system itself. It refuses targets that are not on this machine, unless told that
// this is meant: to put a load on somebody else's machine should be no slip of the keyboard.
package loadtest
