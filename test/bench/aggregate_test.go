package bench_test

import (
	"context"
	"fmt"
	"slices"
	"strconv"
	"testing"
	"time"

	"movieexample.com/api/events"
	ratingv1 "movieexample.com/gen/movieexample/rating/v1"
)

// BenchmarkAggregate reads the aggregates of three records that differ by a factor of 100,000 in their number of ratings,
// among ten thousand other records. A read whose cost grew with the ratings could not hide here.
func BenchmarkAggregate(b *testing.B) {
	sizes := []int{10, 10_000, 1_000_000}
	p := newRatingProcess(b)
	defer p.close(b)
	p.run(b)
	all := ratingEvents(b)
	p.publish(b, all)
	total := len(all)
	for _, size := range sizes {
		// In pieces, so that memory is not what is measured.
		for users := range slices.Chunk(sequence(size), 50_000) {
			p.publish(b, ratingsOf(recordOf(size), users))
		}
		total += size
	}
	p.await(b, total)

	client := ratingv1.NewRatingServiceClient(p.server.Conn())
	read := func(size int) func() float64 {
		req := &ratingv1.GetRatingSummaryRequest{RecordType: "movie", RecordId: recordOf(size)}
		return func() float64 {
			const reads = 500
			took := make([]float64, reads)
			for i := range took {
				began := time.Now()
				got, err := client.GetRatingSummary(context.Background(), req)
				took[i] = float64(time.Since(began).Nanoseconds()) / 1000
				if err != nil {
					b.Fatal(err)
				}
				if got.GetSummary().GetVotes() != int32(size) {
					b.Fatalf("record with %d ratings has %d votes", size, got.GetSummary().GetVotes())
				}
			}
			return median(took)
		}
	}
	for b.Loop() {
		inTurns(1, read(sizes[0]), read(sizes[1]), read(sizes[2])) // warm
		m := inTurns(15, read(sizes[0]), read(sizes[1]), read(sizes[2]))
		cost := []float64{median(m[0]), median(m[1]), median(m[2])}
		ratio := slices.Max(cost) / slices.Min(cost)
		row{
			name:  "aggregate of a record with 10 / 10,000 / 1,000,000 ratings",
			ours:  fmt.Sprintf("%.1f / %.1f / %.1f µs", cost[0], cost[1], cost[2]),
			ratio: ratio, target: "≤ 1.2 (dearest / cheapest)", holds: ratio <= 1.2,
		}.print(b)
		b.ReportMetric(ratio, "ratio")
		for i, size := range sizes {
			b.ReportMetric(cost[i], fmt.Sprintf("µs-of-%d", size))
		}
		b.ReportMetric(0, "ns/op")
	}
}

func recordOf(size int) string { return "rated-" + strconv.Itoa(size) }

func sequence(n int) []int {
	all := make([]int, n)
	for i := range all {
		all[i] = i
	}
	return all
}

func ratingsOf(record string, users []int) []events.Event {
	all := make([]events.Event, len(users))
	for i, u := range users {
		all[i] = events.Event{
			UserID: "u" + strconv.Itoa(u), RecordID: record, RecordType: "movie", Value: 1 + u%10,
			RatedAt: time.Unix(1_500_000_000+int64(u), 0).UTC(),
		}
	}
	return all
}
