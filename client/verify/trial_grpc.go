package verify

import (
	"context"
	"strings"

	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/encoding/prototext"
	"google.golang.org/protobuf/proto"
)

// method is a call of a generated client.
type method[Q, A proto.Message] func(context.Context, Q, ...grpc.CallOption) (A, error)

// try calls and returns the answer or the status.
func try[Q, A proto.Message](t *trial, call method[Q, A], q Q) (A, *status.Status) {
	name := string(q.ProtoReflect().Descriptor().FullName())
	name = strings.TrimSuffix(strings.TrimPrefix(name, "movieexample."), "Request")
	if !strings.Contains(name, ".") {
		name = "book API, " + name
	}
	t.asking("%s{%s}", name, shorten(prototext.MarshalOptions{}.Format(q)))
	ctx, cancel := context.WithTimeout(t.ctx, callTimeout)
	defer cancel()
	a, err := call(ctx, q)
	return a, status.Convert(err)
}

// ask makes a call that must succeed.
func ask[Q, A proto.Message](t *trial, call method[Q, A], q Q) A {
	a, st := try(t, call, q)
	t.must(st.Code() == codes.OK, "an answer", "%s: %s", st.Code(), st.Message())
	return a
}

// refused makes a call that must fail with a code and a message that has all the names.
func refused[Q, A proto.Message](t *trial, code codes.Code, call method[Q, A], q Q, names ...string) {
	a, st := try(t, call, q)
	if st.Code() == codes.OK {
		t.fail(code.String(), "an answer: %s", shorten(prototext.MarshalOptions{}.Format(a)))
	}
	t.must(st.Code() == code, code.String(), "%s: %s", st.Code(), st.Message())
	t.has("the text of the "+code.String(), st.Message(), names...)
}
