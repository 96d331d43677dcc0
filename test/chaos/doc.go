// Package chaos injects faults into the running distributed system, and checks that no acknowledged write is lost or
// counted twice.
//
// A run repeats one kind of fault under a load with known content:
//
//   - events through Kafka: with and without keys, repeated, out of order in time, deletes, poison; ratings set and deleted
//     through the gateways and at the rating service; films edited and removed through the gateways and at the metadata
//     service; and reads of details, lists, search and charts. Acknowledged writes are recorded, and so are those
//     with an unknown outcome (package oracle);
//   - in each round of the fault, the kinds of traffic that it affects may fail for a time. The time ends when all of them
//     work again, every partition has a live owner, and ingestion has progressed in each. At any other time, and for any other
//     kind of traffic, one failed request fails the run (traffic_test.go);
//   - at the end of the run all stored data is compared with the recorded writes (package oracle), and the system's own audit
//     must pass.
//
// Each run also checks that its fault happened and that traffic flowed meanwhile. The default tests check the content of the
// load, and which failures are excused; the others need the build tag servers:
//
//	go test -tags servers ./test/chaos                                   the short form
//	go test -tags servers ./test/chaos -run TestFaults/mariadb_kill -v   one fault
//	make chaos                                                           the full form
//	go test -tags servers ./test/chaos -args -chaos.other FILE           two versions together
//
// The seed is printed and can be given (-args -chaos.seed=…): it decides the content of the load and the choices of the
// faults, but not their timing. docs/faults.md describes the faults and the results.
package chaos
