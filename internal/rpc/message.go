package rpc

import (
	"google.golang.org/grpc/codes"
	_ "google.golang.org/grpc/health"
	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/proto"
)

// encode puts m's encoding into buf. It is not decoded if both ends have the
// same Go type; but only the codec knows the size of a message and whether it is
// valid (all strings must be UTF-8), and with a reused buffer encoding does not
// allocate.
func encode(buf *[]byte, m proto.Message) error {
	var err error
	if *buf, err = (proto.MarshalOptions{}).MarshalAppend((*buf)[:0], m); err != nil {
		return status.Errorf(codes.Internal, "grpc: error while marshaling: %v", err)
	}
	return nil
}

// transfer makes the empty message to equal from, whose encoding is wire. Nothing
// that can change is shared: strings are, bytes and messages are copied.
func transfer(to, from proto.Message, wire []byte) error {
	if to.ProtoReflect().Type() == from.ProtoReflect().Type() {
		proto.Merge(to, from)
		return nil
	}
	if err := proto.Unmarshal(wire, to); err != nil {
		return status.Errorf(codes.Internal, "grpc: failed to unmarshal the received message: %v", err)
	}
	return nil
}

func tooLarge(size, limit int) error {
	return status.Errorf(codes.ResourceExhausted, "grpc: received message larger than max (%d vs. %d)", size, limit)
}

// inProcess is the target of an in-process connection in messages and logs.
const inProcess = "in-process"

// What every callee sees. metadata.FromIncomingContext copies, so handlers cannot
// change them.
var (
	authority   = []string{inProcess}
	contentType = []string{"application/grpc"}
)

func userAgent(version string) string {
	if version == "" {
		version = "devel"
	}
	return "movieexample/" + version
}
