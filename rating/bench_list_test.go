package rating

import (
	"fmt"
	"testing"
	"time"

	"movieexample.com/internal/sqldb"
)

// BenchmarkMillion reads what a record with a million ratings is read for, among a million ratings of 2,500 others by
// other users: its history, from the rows and as it is kept; the users of the type; and pages of an export
// at its beginning, in the middle of the record and after it, which must cost the same. Run with -benchtime=5x.
func BenchmarkMillion(b *testing.B) {
	const n = 1_000_000
	s := openStore(b, sqldb.Options{})
	s.exec(b, fmt.Sprintf(`WITH RECURSIVE n(i) AS (SELECT 0 UNION ALL SELECT i+1 FROM n WHERE i < %d)
		INSERT INTO ratings SELECT 'movie', CASE i %% 2 WHEN 0 THEN 'm' ELSE 'a' || (i %% 5000) END,
			CASE i %% 2 WHEN 0 THEN 'u' || i ELSE 'v' || (i / 200) END, 1 + i %% 10, 1000000000000000 + i * 200000000, i FROM n`, 2*n-1))
	s.exec(b, fmt.Sprintf("INSERT INTO aggregates VALUES ('movie', 'm', %d, %d, 0,0,0,0,0,0,0,0,0,0)", n, 5*n))
	svc := resultsOf(b, s)
	rec := Record{Type: "movie", ID: "m"}
	check := func(ok bool, err error) {
		b.Helper()
		if err != nil || !ok {
			b.Fatal(ok, err)
		}
	}
	took := map[string]time.Duration{}
	measure := func(name string, read func()) {
		began := time.Now()
		read()
		took[name] += time.Since(began)
	}
	_, err := svc.history(b.Context(), rec)
	check(true, err)
	b.ResetTimer()
	for range b.N {
		measure("years", func() {
			years, err := s.years(b.Context(), rec)
			check(len(years) > 10, err)
		})
		measure("kept-years", func() {
			h, err := svc.history(b.Context(), rec)
			check(len(h.years) > 10, err)
		})
		measure("users", func() {
			users, err := s.countUsers(b.Context(), "movie")
			check(users > n, err)
		})
		for name, after := range map[string]Key{
			"page-first": {Record: Record{Type: "movie"}}, "page-in-record": {Record: rec, User: "u5"}, "page-end-of-record": {Record: rec, User: "u99"},
		} {
			measure(name, func() {
				rows, err := s.ratingsAfter(b.Context(), after, 10_000)
				check(len(rows) > 0, err)
			})
		}
	}
	for name, d := range took {
		b.ReportMetric(d.Seconds()*1000/float64(b.N), name+"-ms")
	}
	b.ReportMetric(0, "ns/op")
}
