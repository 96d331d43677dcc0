// Package verify checks, from outside and through every API, that a running MovieExample keeps its promises.
//
// A [Scenario] is one promise to a user in one sentence, and the requests that test it. The same scenarios check any
// system: one process with embedded defaults, a cluster, or a system in production with other users' films, ratings and
// traffic. So a scenario
//
//   - uses ids, titles, and its own genres and record types, with a random part, and checks only those, or rules that hold for any
//     data (a chart is always in order);
//   - waits for conditions, never for time to pass. If the promise has a bound, the scenario enforces it and the time taken
//     is reported; if not, as for the delay until an event is applied, the timeout is generous;
//   - removes its data at the end. Data that no API can remove stays: tombstones of its ratings, empty aggregates, and its
//     events in the Kafka topic. Data that it failed to remove is reported ([Report.Left]);
//   - says, when it fails, the request, the answer, and the promise.
//
// A [Targets] may name several instances of a service. A scenario runs against every instance of its part; data that it
// writes through one instance it expects at all of them. A scenario without an address is reported as such, and so is a check
// that got no answer; neither counts as passed.
//
// Like every other client, the package knows the contracts in gen and api/events, and nothing of the services. It does not retry:
// a scenario fails with its first failed call.
package verify
