// Package client has the operations on a running MovieExample from outside: import a data set, publish rating events, load
// the demo, audit the aggregates, manage dead letters. The commands of cmd/movieexample are thin wrappers around it.
//
// It owns the order of steps (films before ratings, events before the wait for their effect), what counts as progress,
// and how long to wait for a system that does not answer. It promises:
//
//   - Loading is repeatable. Films are filled in, never overwritten; ratings are sent as events that contain their
//     version, so that a repeated event changes nothing. Running an interrupted load again completes it.
//   - A load that waits returns when the aggregates, charts and totals include its last event, and shows that with numbers
//     read before and after.
//   - Nothing waits forever. An error names what did not answer and where ([UnreachableError]).
//   - Memory does not grow with the number of ratings or events.
//
// It imports no service: like any other client it knows only the contracts in gen and api/events.
package client
