package loadtest

import (
	"context"
	"errors"
	"net"
	"net/http"
	"strconv"

	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"

	"movieexample.com/internal/kafka"
)

// Codes of requests that no one answered.
const (
	// CodeNotSent: the request found no place within Plan.Patience of its time.
	CodeNotSent = "not sent"
	// CodeTimeout: no answer within Plan.Timeout of the sending.
	CodeTimeout = "timeout"
	// CodeConnection: the connection was refused or broke.
	CodeConnection = "connection"
)

// StatusError is the code of an unexpected HTTP answer.
type StatusError int

// Error is the code and its text.
func (e StatusError) Error() string {
	return "HTTP " + strconv.Itoa(int(e)) + " " + http.StatusText(int(e))
}

// codeOf names the kind of failure, for the count by code: a gRPC code, an HTTP status, what Kafka did with a record, or
// one of the codes above. It is "" for nil.
func codeOf(err error) string {
	answer := StatusError(0)
	switch {
	case err == nil:
		return ""
	case errors.As(err, &answer):
		return "HTTP " + strconv.Itoa(int(answer))
	case errors.Is(err, kafka.ErrRefused):
		return "Kafka refused"
	case errors.Is(err, kafka.ErrNotSent):
		return "Kafka not sent"
	case errors.Is(err, kafka.ErrOutcomeUnknown):
		return "Kafka outcome unknown"
	case errors.Is(err, context.DeadlineExceeded):
		return CodeTimeout
	}
	if s, ok := status.FromError(err); ok {
		if s.Code() == codes.DeadlineExceeded {
			return CodeTimeout
		}
		return "gRPC " + s.Code().String()
	}
	if timeout := net.Error(nil); errors.As(err, &timeout) {
		if timeout.Timeout() {
			return CodeTimeout
		}
		return CodeConnection
	}
	return "error"
}

// waitedInVain reports whether the code means that no answer came, so that the time until then is a lower bound of what
// the caller would have waited.
func waitedInVain(code string) bool { return code == CodeNotSent || code == CodeTimeout }
