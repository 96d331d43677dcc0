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
// It is all in test files: there is nothing to import.
package bench
