package kafka

import (
	"encoding/binary"
	"fmt"
	"io"
	"log/slog"
	"net"
	"slices"

	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kfake"
	"github.com/twmb/franz-go/pkg/kmsg"
)

// maxRequest is the largest request the embedded broker reads, in bytes; the
// same as Apache Kafka's socket.request.max.bytes.
const maxRequest = 100 << 20

// guardListener stands between the network and the broker library. The library
// trusts the first eight bytes of a request: it allocates as many bytes as they
// say, up to 4 GiB, and panics on a request kind that it does not know. The broker
// lives in the same process as everything else, so a browser pointed at its port
// by mistake must not be able to end that.
type guardListener struct {
	net.Listener
	advertised net.Addr
	logger     *slog.Logger
	ready      chan struct{} // closed when connections may come in
}

// Addr is the address that clients are told to connect to.
func (l *guardListener) Addr() net.Addr { return l.advertised }

// Accept waits until the broker has its guards; the library begins to accept before.
func (l *guardListener) Accept() (net.Conn, error) {
	<-l.ready
	c, err := l.Listener.Accept()
	if err != nil {
		return nil, err
	}
	return &guardConn{Conn: c, logger: l.logger}, nil
}

// guardConn checks the head of every request before the library sees it.
// Reads come from one goroutine at a time.
type guardConn struct {
	net.Conn
	logger *slog.Logger
	head   [8]byte // size (4), kind (2), version (2) of the current request
	unread int     // bytes of head not handed on yet
	body   int64   // bytes of the request that follow the head
}

func (c *guardConn) Read(b []byte) (int, error) {
	if c.unread == 0 && c.body == 0 {
		if err := c.next(); err != nil {
			return 0, err
		}
	}
	if c.unread > 0 {
		n := copy(b, c.head[len(c.head)-c.unread:])
		c.unread -= n
		return n, nil
	}
	if int64(len(b)) > c.body {
		b = b[:c.body]
	}
	n, err := c.Conn.Read(b)
	c.body -= int64(n)
	return n, err
}

// next reads and judges the head of the next request.
func (c *guardConn) next() error {
	if _, err := io.ReadFull(c.Conn, c.head[:]); err != nil {
		return err
	}
	size := int64(binary.BigEndian.Uint32(c.head[0:]))
	kind := int16(binary.BigEndian.Uint16(c.head[4:]))
	version := int16(binary.BigEndian.Uint16(c.head[6:]))
	if size < 8 || size > maxRequest || version < 0 || kmsg.RequestForKey(kind) == nil {
		err := fmt.Errorf("not a Kafka request: size %d, kind %d, version %d", size, kind, version)
		c.logger.Warn("connection to the embedded Kafka broker closed: what came is not Kafka's protocol",
			"remote", c.RemoteAddr().String(), "size", size, "kind", kind, "version", version)
		return err
	}
	c.unread = len(c.head)
	c.body = size - 4 // kind and version are part of the size
	return nil
}

// guardTopicNames makes the broker refuse topic names that Apache Kafka refuses.
// The library takes any name and makes a directory of it, so that a topic called
// "../x" would be written outside the data directory.
func guardTopicNames(cluster *kfake.Cluster) {
	cluster.ControlKey(int16(kmsg.CreateTopics), func(req kmsg.Request) (kmsg.Response, error, bool) {
		cluster.KeepControl()
		r, ok := req.(*kmsg.CreateTopicsRequest)
		if !ok || !slices.ContainsFunc(r.Topics, func(t kmsg.CreateTopicsRequestTopic) bool { return !validTopic(t.Topic) }) {
			return nil, nil, false
		}
		resp := kmsg.NewPtrCreateTopicsResponse()
		resp.Version = r.Version
		for _, t := range r.Topics {
			rt := kmsg.NewCreateTopicsResponseTopic()
			rt.Topic = t.Topic
			code, msg := kerr.InvalidRequest.Code, "nothing is created because another topic of the same request has a bad name"
			if !validTopic(t.Topic) {
				code, msg = kerr.InvalidTopicException.Code, `a topic name must be 1 to 249 of a-z, A-Z, 0-9, ".", "_" and "-", and not "." or ".."`
			}
			rt.ErrorCode, rt.ErrorMessage = code, &msg
			resp.Topics = append(resp.Topics, rt)
		}
		return resp, nil, true
	})
}

// validTopic is Apache Kafka's rule for topic names (org.apache.kafka.common.internals.Topic).
func validTopic(name string) bool {
	if name == "" || len(name) > 249 || name == "." || name == ".." {
		return false
	}
	for i := range len(name) {
		c := name[i]
		if !(c >= 'a' && c <= 'z' || c >= 'A' && c <= 'Z' || c >= '0' && c <= '9' || c == '.' || c == '_' || c == '-') {
			return false
		}
	}
	return true
}
