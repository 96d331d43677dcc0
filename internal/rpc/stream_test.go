package rpc_test

import (
	"context"
	"errors"
	"io"
	"slices"
	"strings"
	"testing"

	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	healthpb "google.golang.org/grpc/health/grpc_health_v1"
	testpb "google.golang.org/grpc/interop/grpc_testing"
	"google.golang.org/grpc/metadata"
	reflectionpb "google.golang.org/grpc/reflection/grpc_reflection_v1"
	"google.golang.org/grpc/status"

	"movieexample.com/internal/fault"
	"movieexample.com/internal/rpc"
)

// Streams of the conformance suite.

func TestStreamFromTheServer(t *testing.T) {
	overBoth(t, rpc.ServerConfig{}, func(t *testing.T, w *world) {
		w.output = func(req *testpb.StreamingOutputCallRequest, s grpc.ServerStreamingServer[testpb.StreamingOutputCallResponse]) error {
			if rpc.RequestID(s.Context()) != "r-1" {
				t.Errorf("request id %q, want r-1", rpc.RequestID(s.Context()))
			}
			if _, ok := s.Context().Deadline(); ok {
				t.Error("the stream has a deadline, want none")
			}
			_ = s.SetHeader(metadata.Pairs("a", "1"))
			s.SetTrailer(metadata.Pairs("b", "2"))
			for _, p := range req.GetResponseParameters() {
				if err := s.Send(&testpb.StreamingOutputCallResponse{Payload: &testpb.Payload{Body: make([]byte, p.GetSize())}}); err != nil {
					return err
				}
			}
			return fault.Invalid("response_parameters[3]", "no more")
		}
		s, err := w.client.StreamingOutputCall(rpc.WithRequestID(t.Context(), "r-1"), &testpb.StreamingOutputCallRequest{
			ResponseParameters: []*testpb.ResponseParameters{{Size: 1}, {Size: 2}, {Size: 3}},
		})
		if err != nil {
			t.Fatal(err)
		}
		for want := 1; want <= 3; want++ {
			m, err := s.Recv()
			if err != nil || len(m.GetPayload().GetBody()) != want {
				t.Fatalf("message %d: %v, %v", want, m, err)
			}
		}
		_, err = s.Recv()
		var e *fault.Error
		if !errors.As(fault.FromRPC(err), &e) || e.Kind != fault.KindInvalid || len(e.Fields) != 1 || e.Fields[0].Name != "response_parameters[3]" {
			t.Errorf("end: %v, want the invalid field", err)
		}
		header, err := s.Header()
		if err != nil || !slices.Equal(header.Get("a"), []string{"1"}) || !slices.Equal(header.Get("x-request-id"), []string{"r-1"}) {
			t.Errorf("header %v, %v", header, err)
		}
		if !slices.Equal(s.Trailer().Get("b"), []string{"2"}) {
			t.Errorf("trailer %v", s.Trailer())
		}
	})
}

func TestStreamBothWays(t *testing.T) {
	overBoth(t, rpc.ServerConfig{}, func(t *testing.T, w *world) {
		w.duplex = func(s grpc.BidiStreamingServer[testpb.StreamingOutputCallRequest, testpb.StreamingOutputCallResponse]) error {
			for {
				req, err := s.Recv()
				if errors.Is(err, io.EOF) {
					return nil
				}
				if err != nil {
					return err
				}
				if err := s.Send(&testpb.StreamingOutputCallResponse{Payload: req.GetPayload()}); err != nil {
					return err
				}
			}
		}
		s, err := w.client.FullDuplexCall(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		for _, want := range []string{"a", "b", "c"} {
			if err := s.Send(&testpb.StreamingOutputCallRequest{Payload: payload(want)}); err != nil {
				t.Fatal(err)
			}
			if got, err := s.Recv(); err != nil || string(got.GetPayload().GetBody()) != want {
				t.Fatalf("got %v, %v; want %s", got, err, want)
			}
		}
		if err := s.CloseSend(); err != nil {
			t.Fatal(err)
		}
		if _, err := s.Recv(); !errors.Is(err, io.EOF) {
			t.Errorf("end: %v, want EOF", err)
		}
	})
}

func TestStreamCanceledByItsCaller(t *testing.T) {
	overBoth(t, rpc.ServerConfig{}, func(t *testing.T, w *world) {
		ended := make(chan struct{})
		w.duplex = func(s grpc.BidiStreamingServer[testpb.StreamingOutputCallRequest, testpb.StreamingOutputCallResponse]) error {
			_ = s.SendHeader(nil)
			<-s.Context().Done()
			close(ended)
			return s.Context().Err()
		}
		ctx, cancel := context.WithCancel(t.Context())
		defer cancel()
		s, err := w.client.FullDuplexCall(ctx)
		if err != nil {
			t.Fatal(err)
		}
		if _, err := s.Header(); err != nil { // the handler runs
			t.Fatal(err)
		}
		cancel()
		if _, err := s.Recv(); status.Code(err) != codes.Canceled {
			t.Errorf("got %v, want CANCELLED", err)
		}
		wait(t, "the handler's end", ended)
	})
}

func TestStreamPanicIsInternal(t *testing.T) {
	overBoth(t, rpc.ServerConfig{}, func(t *testing.T, w *world) {
		w.duplex = func(grpc.BidiStreamingServer[testpb.StreamingOutputCallRequest, testpb.StreamingOutputCallResponse]) error {
			panic("secret")
		}
		s, err := w.client.FullDuplexCall(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		_, err = s.Recv()
		if status.Code(err) != codes.Internal || strings.Contains(err.Error(), "secret") {
			t.Errorf("got %v, want INTERNAL without the text", err)
		}
	})
}

func TestStreamAfterShutdown(t *testing.T) {
	overBoth(t, rpc.ServerConfig{}, func(t *testing.T, w *world) {
		if err := w.server.Shutdown(t.Context()); err != nil {
			t.Fatal(err)
		}
		s, err := w.client.FullDuplexCall(t.Context())
		if err == nil {
			_, err = s.Recv()
		}
		if status.Code(err) != codes.Unavailable {
			t.Errorf("got %v, want UNAVAILABLE", err)
		}
	})
}

func TestHealth(t *testing.T) {
	overBoth(t, rpc.ServerConfig{}, func(t *testing.T, w *world) {
		health := healthpb.NewHealthClient(w.conn)
		for _, service := range []string{"", "grpc.testing.TestService"} {
			ctx, cancel := context.WithTimeout(t.Context(), patience)
			defer cancel()
			// The connection heeds the health too, and is back a moment after the server.
			s, err := health.Watch(ctx, &healthpb.HealthCheckRequest{Service: service}, grpc.WaitForReady(true))
			if err != nil {
				t.Fatal(err)
			}
			expect := func(want healthpb.HealthCheckResponse_ServingStatus) {
				t.Helper()
				if got, err := s.Recv(); err != nil || got.GetStatus() != want {
					t.Fatalf("watching %q: %v, %v; want %v", service, got, err, want)
				}
			}
			expect(healthpb.HealthCheckResponse_SERVING)
			w.server.SetServing(false)
			expect(healthpb.HealthCheckResponse_NOT_SERVING)
			w.server.SetServing(true)
			expect(healthpb.HealthCheckResponse_SERVING)
			cancel()
		}
		if _, err := health.Check(t.Context(), &healthpb.HealthCheckRequest{Service: "no.such"}, grpc.WaitForReady(true)); status.Code(err) != codes.NotFound {
			t.Errorf("unknown service: %v, want NOT_FOUND", err)
		}
		for _, line := range w.log.lines(t) {
			if line["service"] == healthpb.Health_ServiceDesc.ServiceName {
				t.Errorf("a health check is in the log: %v", line)
			}
		}
	})
}

func TestReflectionKnowsEveryService(t *testing.T) {
	overBoth(t, rpc.ServerConfig{}, func(t *testing.T, w *world) {
		s, err := reflectionpb.NewServerReflectionClient(w.conn).ServerReflectionInfo(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		if err := s.Send(&reflectionpb.ServerReflectionRequest{MessageRequest: &reflectionpb.ServerReflectionRequest_ListServices{}}); err != nil {
			t.Fatal(err)
		}
		resp, err := s.Recv()
		if err != nil {
			t.Fatal(err)
		}
		var names []string
		for _, svc := range resp.GetListServicesResponse().GetService() {
			names = append(names, svc.GetName())
		}
		want := []string{"grpc.health.v1.Health", "grpc.reflection.v1.ServerReflection", "grpc.reflection.v1alpha.ServerReflection", "grpc.testing.TestService"}
		if slices.Sort(names); !slices.Equal(names, want) {
			t.Errorf("services %q, want %q", names, want)
		}
		if err := s.CloseSend(); err != nil {
			t.Fatal(err)
		}
		if _, err := s.Recv(); !errors.Is(err, io.EOF) {
			t.Errorf("end: %v, want EOF", err)
		}
	})
}
