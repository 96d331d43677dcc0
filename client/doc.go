// Package client is what those who use a running MovieExample do to it from outside: import a data set, publish rating
// events, load the demo, audit the aggregates, look after dead letters. The commands of cmd/movieexample are thin around it.
//
// It owns the order of things (films before ratings, events before the wait for their effect), what counts as progress,
// and how long a system that does not answer is waited for. It promises:
//
//   - Loading is repeatable. Films are filled in, never overwritten; ratings travel as events whose version is in their
//     content, so that the same event a second time is the same event. Whatever ended a load, running it again completes it.
//   - A load that waits returns when the aggregates, charts and totals include its last event, and says so by numbers that
//     it read before and after.
//   - Nothing waits forever. An error names what did not answer and where ([UnreachableError]).
//   - Memory does not grow with the number of ratings or events.
//
// It refuses to import a service: it sees of the system what any other client sees, the contracts in gen and api/events.
package client
