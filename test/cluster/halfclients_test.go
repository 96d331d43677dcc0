//go:build servers

package cluster_test

import (
	"bytes"
	"io"
	"net"

	"golang.org/x/net/http2"
	"golang.org/x/net/http2/hpack"
)

// halfClients are connections to a gRPC port, more than it takes from one address, each with a call whose message does not come.
type halfClients struct{ conns []net.Conn }

// begin opens them. Those that do not fit are closed by the server, which is what is tried.
func (h *halfClients) begin(addr string) error {
	var head bytes.Buffer
	enc := hpack.NewEncoder(&head)
	for _, f := range []hpack.HeaderField{
		{Name: ":method", Value: "POST"},
		{Name: ":scheme", Value: "http"},
		{Name: ":authority", Value: "rating"},
		{Name: ":path", Value: "/movieexample.rating.v1.RatingService/GetRating"},
		{Name: "content-type", Value: "application/grpc"},
		{Name: "te", Value: "trailers"},
	} {
		if err := enc.WriteField(f); err != nil {
			return err
		}
	}
	for range 700 {
		c, err := net.Dial("tcp", addr)
		if err != nil {
			return err
		}
		h.conns = append(h.conns, c)
		frames := http2.NewFramer(c, c)
		if _, err := io.WriteString(c, http2.ClientPreface); err != nil {
			continue
		}
		if err := frames.WriteSettings(); err != nil {
			continue
		}
		if err := frames.WriteHeaders(http2.HeadersFrameParam{StreamID: 1, BlockFragment: head.Bytes(), EndHeaders: true}); err != nil {
			continue
		}
		_ = frames.WriteData(1, false, []byte{0, 0, 0, 0, 100, 1})
	}
	return nil
}

// end closes them.
func (h *halfClients) end() {
	for _, c := range h.conns {
		_ = c.Close()
	}
	h.conns = nil
}
