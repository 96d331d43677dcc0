package fault_test

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"strings"
	"testing"
	"unicode/utf8"

	"github.com/google/go-cmp/cmp"
	"google.golang.org/genproto/googleapis/rpc/errdetails"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/types/known/wrapperspb"

	"movieexample.com/internal/fault"
)

var kinds = []struct {
	kind fault.Kind
	name string
	code codes.Code
	http int
	text string // the code's name in a problem
}{
	{fault.KindInternal, "internal", codes.Internal, 500, "INTERNAL"},
	{fault.KindInvalid, "invalid-argument", codes.InvalidArgument, 400, "INVALID_ARGUMENT"},
	{fault.KindNotFound, "not-found", codes.NotFound, 404, "NOT_FOUND"},
	{fault.KindConflict, "conflict", codes.Aborted, 409, "ABORTED"},
	{fault.KindExists, "already-exists", codes.AlreadyExists, 409, "ALREADY_EXISTS"},
	{fault.KindPrecondition, "failed-precondition", codes.FailedPrecondition, 400, "FAILED_PRECONDITION"},
	{fault.KindExhausted, "resource-exhausted", codes.ResourceExhausted, 429, "RESOURCE_EXHAUSTED"},
	{fault.KindUnavailable, "unavailable", codes.Unavailable, 503, "UNAVAILABLE"},
	{fault.KindDeadline, "deadline-exceeded", codes.DeadlineExceeded, 504, "DEADLINE_EXCEEDED"},
	{fault.KindCanceled, "canceled", codes.Canceled, 499, "CANCELLED"},
	{fault.KindUnauthenticated, "unauthenticated", codes.Unauthenticated, 401, "UNAUTHENTICATED"},
	{fault.KindDenied, "permission-denied", codes.PermissionDenied, 403, "PERMISSION_DENIED"},
	{fault.KindUnimplemented, "unimplemented", codes.Unimplemented, 501, "UNIMPLEMENTED"},
	{fault.Kind(200), "internal", codes.Internal, 500, "INTERNAL"},
}

func TestKinds(t *testing.T) {
	for _, row := range kinds {
		t.Run(row.kind.String(), func(t *testing.T) {
			if row.kind.String() != row.name || row.kind.Code() != row.code || row.kind.HTTPStatus() != row.http {
				t.Errorf("%v, %v, %d; want %s, %v, %d", row.kind, row.kind.Code(), row.kind.HTTPStatus(), row.name, row.code, row.http)
			}
			st := fault.Status(&fault.Error{Kind: row.kind, Msg: "told"})
			want := fault.Problem{Type: "/problems/" + row.name, Status: row.http, Detail: "told", Code: row.text}
			if row.code == codes.Internal {
				want.Detail = "internal error"
			}
			got := fault.ToProblem(st)
			if got.Title == "" {
				t.Error("the problem has no title")
			}
			got.Title = ""
			if diff := cmp.Diff(want, got); diff != "" {
				t.Errorf("problem (-want +got):\n%s", diff)
			}
		})
	}
}

func TestRoundTripOverTheWire(t *testing.T) {
	fields := []fault.Field{{Name: "movie.year", Reason: "must be 1870 to 2100, got 3"}, {Name: "movie.title", Reason: "is required"}}
	for _, row := range kinds {
		if row.code == codes.Internal {
			continue
		}
		for name, sent := range map[string]*fault.Error{
			"message":            {Kind: row.kind, Msg: "what the user reads", Err: errors.New("secret")},
			"fields":             {Kind: row.kind, Fields: fields, Err: errors.New("secret")},
			"message and fields": {Kind: row.kind, Msg: "two mistakes", Fields: fields},
			"kind alone":         {Kind: row.kind},
		} {
			t.Run(row.kind.String()+"/"+name, func(t *testing.T) {
				got := overTheWire(t, fmt.Errorf("outer: %w", sent))
				if got.Kind != sent.Kind || got.Message() != sent.Message() {
					t.Errorf("got %v %q, want %v %q", got.Kind, got.Message(), sent.Kind, sent.Message())
				}
				if diff := cmp.Diff(sent.Fields, got.Fields); diff != "" {
					t.Errorf("fields (-sent +got):\n%s", diff)
				}
				if strings.Contains(got.Error(), "secret") || strings.Contains(got.Error(), "outer") {
					t.Errorf("%q has text that was not for the user", got)
				}
			})
		}
	}
}

// overTheWire encodes and decodes the status, as a transport does.
func overTheWire(t *testing.T, err error) *fault.Error {
	t.Helper()
	wire, merr := proto.Marshal(fault.Status(err).Proto())
	if merr != nil {
		t.Fatalf("the status cannot be encoded: %v", merr)
	}
	p := status.New(codes.OK, "").Proto()
	if uerr := proto.Unmarshal(wire, p); uerr != nil {
		t.Fatal(uerr)
	}
	var e *fault.Error
	if !errors.As(fault.FromRPC(status.FromProto(p).Err()), &e) {
		t.Fatal("FromRPC did not return an *Error")
	}
	return e
}

func TestInternalTextStaysInside(t *testing.T) {
	for name, err := range map[string]error{
		"plain":                 errors.New("secret"),
		"wrapped":               fmt.Errorf("read: %w", errors.New("secret")),
		"marked":                fault.Internal(errors.New("secret"), "secret"),
		"marked over not found": fault.Internal(fault.NotFound("secret"), "secret"),
		"with fields":           &fault.Error{Fields: []fault.Field{{Name: "secret", Reason: "secret"}}},
		"status unknown":        status.Error(codes.Unknown, "secret"),
		"status data loss":      status.Error(codes.DataLoss, "secret"),
		"unknown kind":          &fault.Error{Kind: 99, Msg: "secret"},
	} {
		t.Run(name, func(t *testing.T) {
			st := fault.Status(err)
			if st.Code() != codes.Internal || st.Message() != "internal error" || len(st.Details()) != 0 {
				t.Errorf("status %v", st)
			}
			if got := fault.KindOf(err); got != fault.KindInternal {
				t.Errorf("kind %v", got)
			}
			if !strings.Contains(err.Error(), "secret") {
				t.Errorf("the log would not have the text: %q", err)
			}
		})
	}
	for _, st := range []*status.Status{nil, status.New(codes.OK, "secret"), status.New(codes.Unknown, "secret"), status.New(codes.Internal, "secret")} {
		if p := fault.ToProblem(st); p.Status != 500 || strings.Contains(p.Detail, "secret") {
			t.Errorf("ToProblem(%v) = %v", st, p)
		}
	}
}

// claim is an error that only says it is another.
type claim struct{ of error }

func (c claim) Error() string        { return "claim" }
func (c claim) Is(target error) bool { return target == c.of } //nolint:errorlint // this is Is

func TestKindOf(t *testing.T) {
	for name, row := range map[string]struct {
		err  error
		want fault.Kind
	}{
		"nil":                      {nil, fault.KindInternal},
		"unknown":                  {errors.New("x"), fault.KindInternal},
		"canceled":                 {context.Canceled, fault.KindCanceled},
		"wrapped deadline":         {fmt.Errorf("read: %w", context.DeadlineExceeded), fault.KindDeadline},
		"claims to be canceled":    {claim{context.Canceled}, fault.KindCanceled},
		"claims to be a deadline":  {claim{context.DeadlineExceeded}, fault.KindDeadline},
		"the outermost counts":     {fault.Unavailable(context.Canceled, "busy"), fault.KindUnavailable},
		"below a wrap":             {fmt.Errorf("a: %w", fmt.Errorf("b: %w", fault.Exists("x"))), fault.KindExists},
		"joined":                   {errors.Join(errors.New("x"), fault.NotFound("y")), fault.KindNotFound},
		"joined, the first counts": {errors.Join(fault.Denied("x"), fault.NotFound("y")), fault.KindDenied},
		"gRPC status":              {fmt.Errorf("call: %w", status.Error(codes.NotFound, "x")), fault.KindNotFound},
		"out of range":             {status.Error(codes.OutOfRange, "x"), fault.KindInvalid},
	} {
		t.Run(name, func(t *testing.T) {
			if got := fault.KindOf(row.err); got != row.want {
				t.Errorf("got %v, want %v", got, row.want)
			}
		})
	}
}

func TestFromRPC(t *testing.T) {
	if err := fault.FromRPC(nil); err != nil {
		t.Errorf("FromRPC(nil) = %v", err)
	}
	if fault.Status(nil).Code() != codes.OK {
		t.Error("Status(nil) is not OK")
	}
	for code, target := range map[codes.Code]error{codes.Canceled: context.Canceled, codes.DeadlineExceeded: context.DeadlineExceeded} {
		if err := fault.FromRPC(status.Error(code, "x")); !errors.Is(err, target) {
			t.Errorf("%v does not match %v", err, target)
		}
	}
	if err := fault.FromRPC(status.Error(codes.DataLoss, "disk")); !strings.Contains(err.Error(), "disk") {
		t.Errorf("%q: the log would not have the text", err)
	}
}

func TestStatusOfAHandlerKeepsItsDetails(t *testing.T) {
	st, err := status.New(codes.OutOfRange, "page 9 of 3").WithDetails(wrapperspb.String("more"))
	if err != nil {
		t.Fatal(err)
	}
	got := fault.Status(fmt.Errorf("list: %w", st.Err()))
	if !proto.Equal(got.Proto(), st.Proto()) {
		t.Errorf("got %v, want %v", got, st)
	}
}

func TestErrorIsAStatusErrorByItself(t *testing.T) {
	if got := status.Code(fault.Conflict("etag differs")); got != codes.Aborted {
		t.Errorf("got %v", got)
	}
}

func TestErrorText(t *testing.T) {
	for _, row := range []struct {
		err  *fault.Error
		want string
	}{
		{fault.Invalid("value", "must be 1 to 10, got %d", 11), "value: must be 1 to 10, got 11"},
		{fault.InvalidFields([]fault.Field{{Name: "a", Reason: "x"}, {Name: "b", Reason: "y"}}), "a: x; b: y"},
		{fault.Unavailable(errors.New("connection refused"), "the broker is not reachable"), "the broker is not reachable: connection refused"},
		{fault.Unavailable(fault.Unavailable(errors.New("refused"), "no rating service"), "no rating service"), "no rating service: refused"},
		{fault.Unavailable(errors.New("no rating service at all"), "no rating service"), "no rating service: no rating service at all"},
		{&fault.Error{Kind: fault.KindCanceled, Msg: "context canceled", Err: context.Canceled}, "context canceled"},
		{&fault.Error{Kind: fault.KindNotFound}, "not found"},
	} {
		if got := row.err.Error(); got != row.want {
			t.Errorf("got %q, want %q", got, row.want)
		}
	}
}

// A status must fit into the 8 KiB of trailers that common proxies accept,
// whatever is complained about.
func TestStatusStaysSmallAndValid(t *testing.T) {
	var fields []fault.Field
	for i := range 300 {
		fields = append(fields, fault.Field{Name: fmt.Sprintf("ids[%d]", i), Reason: strings.Repeat("ü\xff", 500)})
	}
	st := fault.Status(fault.InvalidFields(fields))
	wire, err := proto.Marshal(st.Proto())
	if err != nil {
		t.Fatalf("the status cannot be encoded: %v", err)
	}
	if !utf8.ValidString(st.Message()) {
		t.Error("the message is not UTF-8")
	}
	// The message travels again beside the details, percent-encoded.
	if size := len(wire)*4/3 + 3*len(st.Message()); size > 8<<10 {
		t.Errorf("%d bytes on the wire, want at most 8 KiB", size)
	}
	if n := len(st.Details()[0].(*errdetails.BadRequest).GetFieldViolations()); n != 16 {
		t.Errorf("%d fields, want the first 16", n)
	}
}

func TestProblemJSON(t *testing.T) {
	p := fault.ToProblem(fault.Status(fault.Invalid("movie.year", "must be 1870 to 2100, got 3")))
	p.Instance, p.RequestID = "/v1/movies/tt1", "r-1"
	got, err := json.Marshal(p)
	if err != nil {
		t.Fatal(err)
	}
	const want = `{"type":"/problems/invalid-argument","title":"Invalid argument","status":400,` +
		`"detail":"movie.year: must be 1870 to 2100, got 3","instance":"/v1/movies/tt1","code":"INVALID_ARGUMENT",` +
		`"requestId":"r-1","errors":[{"field":"movie.year","reason":"must be 1870 to 2100, got 3"}]}`
	if string(got) != want {
		t.Errorf("got  %s\nwant %s", got, want)
	}
}

func TestAll(t *testing.T) {
	if err := fault.All(); err != nil {
		t.Errorf("All() = %v", err)
	}
	if err := fault.All(nil, fault.ID("id", "x"), nil); err != nil {
		t.Errorf("nothing wrong: %v", err)
	}
	err := fault.All(fault.Invalid("a", "x"), nil, fmt.Errorf("wrapped: %w", fault.Invalid("b", "y")))
	if err == nil || err.Error() != "a: x; b: y" || fault.KindOf(err) != fault.KindInvalid {
		t.Errorf("two fields: %v", err)
	}
	other := fault.NotFound("z")
	if err := fault.All(fault.Invalid("a", "x"), other); !errors.Is(err, other) {
		t.Errorf("another kind: %v", err)
	}
}
