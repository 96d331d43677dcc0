package movie

import (
	"context"
	"errors"
	"testing"
	"testing/synctest"
	"time"

	"google.golang.org/grpc"

	metadatav1 "movieexample.com/gen/movieexample/metadata/v1"
)

// selecting is a metadata service that hangs until it is released, and then knows every film.
type selecting struct {
	grpc.ClientConnInterface
	release chan struct{}
	calls   int
}

func (s *selecting) Invoke(ctx context.Context, _ string, args, reply any, _ ...grpc.CallOption) error {
	s.calls++
	select {
	case <-s.release:
	case <-ctx.Done():
		return ctx.Err()
	}
	for _, id := range args.(*metadatav1.SelectMoviesRequest).GetIds() {
		r := reply.(*metadatav1.SelectMoviesResponse)
		r.Matches = append(r.Matches, &metadatav1.SelectMoviesResponse_Match{Id: id, SortKey: id})
	}
	return nil
}

// Who waits for what another asks of the metadata service waits no longer than its own time, and finds the answer when it is there.
func TestRollWaitsNoLongerThanItsCaller(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		conn := &selecting{release: make(chan struct{})}
		r := newRoll(newCatalogue(conn), readView{})
		entries := []chartEntry{{id: "a"}, {id: "b"}}
		numbers := r.number(entries)
		judge := func(ctx context.Context) error {
			_, matches, err := r.judge(ctx, entries, numbers, filter{genre: "Drama"})
			if err == nil && !(matches[0] && matches[1]) {
				t.Errorf("matches are %v, want both", matches)
			}
			return err
		}
		first := make(chan error, 2)
		go func() { first <- judge(t.Context()) }()
		synctest.Wait()
		began := time.Now()
		brief, cancel := context.WithTimeout(t.Context(), 100*time.Millisecond)
		defer cancel()
		if err := judge(brief); err == nil {
			t.Error("a caller with 100ms was answered by a service that hangs")
		}
		if took := time.Since(began); took != 100*time.Millisecond {
			t.Errorf("a caller with 100ms waited %v", took)
		}
		go func() { first <- judge(t.Context()) }()
		synctest.Wait()
		close(conn.release)
		if err := errors.Join(<-first, <-first); err != nil || conn.calls != 1 {
			t.Errorf("%v after %d calls, want one call for both", err, conn.calls)
		}
	})
}
