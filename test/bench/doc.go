// Package bench measures the system against the simplest program that could do the same work, in one run: a bare loop
// of upserts, a bare HTTP handler, a bare gRPC server.
//
// A rate says something about a machine; a ratio says something about this program. So every benchmark measures both
// sides in turns, several times, in the same process, and reports the median of the rounds' ratios: what disturbs one side
// (other programs, a slow disk, a throttled processor) then disturbs the other too. Nothing here fails on a number of seconds.
//
// Each benchmark prints one or more rows of the table in docs/performance.md:
//
//	make bench | grep '^|'
//
// Those that need MariaDB and Kafka are built with the tag "servers" and start them, and the services as processes of the
// real binary; the bare gRPC servers of bare/ are processes too:
//
//	go test -tags servers ./test/bench -run '^$' -bench 'WritesMariaDB|KafkaToMariaDB|DetailsProcesses|Consumers|Growth' -benchtime 1x -timeout 60m -v
//
// takes ten minutes on two cores; behind it, -args -growth.ratings=10000000 ingests ten million ratings, which takes five more.
//
// Apart from bare/ it is all in test files: there is nothing to import.
package bench
