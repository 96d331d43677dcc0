// Package chaos breaks the distributed system while it works, and proves that nothing that was acknowledged is lost or
// counted twice.
//
// A run is one kind of fault, again and again, under a load with known content:
//
//   - events through Kafka: with and without keys, repeated, out of order in time, deletes, poison; ratings set and taken back
//     through the gateways and at the rating service; films edited and removed through the gateways and at the metadata
//     service; and reads of details, lists, search and charts. What was acknowledged is written down, and so is what
//     has an unknown outcome (package oracle);
//   - each round of the fault has a time in which the kinds of traffic that it may harm may fail. It ends when all of them work
//     again, every partition has an owner that lives, and ingestion has moved in each. At any other time, and for any other
//     kind of traffic, one failed request fails the run (traffic_test.go);
//   - at the end of the run everything that is stored is compared with everything that was said (package oracle), and the
//     system's own audit has to agree.
//
// Each run also checks that its fault happened and that traffic flowed meanwhile. What the load is made of, and which
// failures are excused, is tested by the default tests; the rest has the build tag servers:
//
//	go test -tags servers ./test/chaos                                   the short form
//	go test -tags servers ./test/chaos -run TestFaults/mariadb_kill -v   one fault
//	make chaos                                                           the full form
//	go test -tags servers ./test/chaos -args -chaos.other FILE           two versions together
//
// The seed is printed and can be given (-args -chaos.seed=…): it decides the load's content and the order of the faults'
// choices, though not when the machine gets to them. docs/faults.md tells what is done and what was measured.
package chaos
