package movie

import (
	"context"
	"strconv"

	"google.golang.org/grpc/metadata"
)

// Read-your-writes: a caller that made a write sees it with its next read, although this service caches what it reads and the
// write may have gone through another instance. There are three ways to know of a write, and no other code has to:
//
//   - A film written through this instance is dropped from the cache (details.go), and what was derived from films belongs to an
//     epoch that has ended (readView.epoch).
//   - A service in the same process reports each write before it is answered (RatingChanged, MovieChanged).
//   - A caller that knows of a write sends its time with the request: no film, or no summary, that was read before it is used, and
//     no load that began before it is joined. The gateway does so for 2 s after each write through it, for requests that name the
//     film; other callers may do the same. The times of ratings and of films are separate, because films are rated far more
//     often than they are written, and a rating need not cost a call to the metadata service.

// The metadata keys of the demands. Their values are in microseconds since 1970-01-01 UTC, decimal numbers.
const (
	ratingsAfterKey = "x-read-after"
	filmsAfterKey   = "x-film-read-after"
)

// demands returns the times before which no rating and no film may have been read for the caller, in microseconds since 1970; 0
// without a demand, or with one that cannot be read.
func demands(ctx context.Context) (ratings, films int64) {
	demand := func(key string) int64 {
		values := metadata.ValueFromIncomingContext(ctx, key)
		if len(values) != 1 {
			return 0
		}
		µs, err := strconv.ParseInt(values[0], 10, 64)
		if err != nil {
			return 0
		}
		return max(0, µs)
	}
	return demand(ratingsAfterKey), demand(filmsAfterKey)
}
