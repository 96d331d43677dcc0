// Package verify checks, from outside and through every API, that a running MovieExample keeps its promises.
//
// A [Scenario] is one promise to a user in one sentence, and the requests that test it. Scenarios are told once
// and judge any system: one process on embedded defaults, a cluster, or one in production with other people's films,
// ratings and traffic in it. So a scenario
//
//   - uses ids, titles, and its own genres and record types, with a random part, and judges only those, or what holds of any data
//     (a chart is in order whatever is in it);
//   - waits for conditions, never for time to pass. Where the promise has a bound, the bound is the scenario's and the time
//     it took is reported; where it has none, as for how soon an event is applied, patience is generous;
//   - takes away what it has put there. What no API can remove stays: tombstones of its ratings, empty aggregates, and its
//     events in the Kafka topic. What could not be taken away is reported ([Report.Left]);
//   - says, when it fails, the request, the answer, and the promise.
//
// A [Targets] may name several instances of a service. A scenario is asked of every instance of the part it is about; what it
// wrote through one it looks for at all. What cannot be asked because no address was given is reported as such, never as passed,
// and neither is a check that could not run for want of an answer.
//
// The package sees of the system what every other client sees, the contracts in gen and api/events, and nothing of the services. It does not
// retry: a call that fails once has failed.
package verify
