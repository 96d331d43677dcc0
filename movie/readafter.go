package movie

import (
	"context"
	"strconv"
	"time"

	"google.golang.org/grpc/metadata"
)

// The metadata keys with which a caller says what will not do, because it knows of a write: readAfterKey, numbers of ratings that were
// read before a time, because a film of its request was rated then; filmReadAfterKey, films that were read before a time, because one
// of its request was written or deleted then, through whichever instance of this service. The values are in microseconds since
// 1970-01-01 UTC, decimal numbers. The gateway sends them for what was written through it, so that who wrote sees it; other callers
// may do the same. There are two, because films are rated much more often than they are written: a rating costs no call to the
// metadata service.
const (
	readAfterKey     = "x-read-after"
	filmReadAfterKey = "x-film-read-after"
)

// RatingChanged is told, by whoever is in one process with this service, that a rating of the film was written, after the write and before
// it is answered: what is read of the film from now on has it.
func (s *Service) RatingChanged(id string) { s.standings.fresh.drop(id) }

// MovieChanged is RatingChanged for a film that was written or deleted.
func (s *Service) MovieChanged(id string) { s.films.drop(id) }

// readAfter returns what the caller demands of ratings, the zero time where it demands nothing or what cannot be read.
func readAfter(ctx context.Context) time.Time { return demanded(ctx, readAfterKey) }

// filmReadAfter is readAfter for the films themselves.
func filmReadAfter(ctx context.Context) time.Time { return demanded(ctx, filmReadAfterKey) }

func demanded(ctx context.Context, key string) time.Time {
	values := metadata.ValueFromIncomingContext(ctx, key)
	if len(values) != 1 {
		return time.Time{}
	}
	µs, err := strconv.ParseInt(values[0], 10, 64)
	if err != nil || µs <= 0 {
		return time.Time{}
	}
	return time.UnixMicro(µs)
}

// tooEarly reports whether ratings that were read at a moment were read too early for a caller who comes now.
func (now moment) tooEarly(read moment) bool { return read.at.Before(now.after) }

// filmTooEarly is tooEarly for films. It only ever refuses: what a film's other rules would not let be used is not used either, so
// that a caller whose clock is behind ours, and demands too little, sees what it would see without a demand.
func (now moment) filmTooEarly(read moment) bool { return read.at.Before(now.filmsAfter) }
