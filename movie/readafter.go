package movie

import (
	"context"
	"strconv"
	"time"

	"google.golang.org/grpc/metadata"
)

// readAfterKey is the metadata key with which a caller says that numbers of ratings read before a time will not do: it knows that a
// film of its request was rated then. The value is in microseconds since 1970-01-01 UTC, a decimal number. The gateway sends it for
// films that were rated through it, so that who rated a film sees it; other callers may do the same.
const readAfterKey = "x-read-after"

// readAfter returns what the caller demands, the zero time where it demands nothing or what cannot be read.
func readAfter(ctx context.Context) time.Time {
	values := metadata.ValueFromIncomingContext(ctx, readAfterKey)
	if len(values) != 1 {
		return time.Time{}
	}
	µs, err := strconv.ParseInt(values[0], 10, 64)
	if err != nil || µs <= 0 {
		return time.Time{}
	}
	return time.UnixMicro(µs)
}

// tooEarly reports whether what was read at a moment was read too early for a caller who comes now.
func (now moment) tooEarly(read moment) bool { return read.at.Before(now.after) }
