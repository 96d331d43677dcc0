package gateway

import (
	"bytes"
	"encoding/json"

	"github.com/grpc-ecosystem/grpc-gateway/v2/runtime"
	"google.golang.org/protobuf/encoding/protojson"
)

// jsonCodec is the JSON of every answer: camelCase, default values and empty lists included, absent messages and absent
// optional fields left out, no white space.
type jsonCodec struct{ runtime.JSONPb }

func newJSON() *jsonCodec {
	return &jsonCodec{runtime.JSONPb{MarshalOptions: protojson.MarshalOptions{EmitDefaultValues: true}}}
}

// Marshal implements runtime.Marshaler.
func (c *jsonCodec) Marshal(v any) ([]byte, error) {
	loose, err := c.JSONPb.Marshal(v)
	if err != nil {
		return nil, err
	}
	// protojson puts white space where it likes, to keep anybody from relying on its bytes. We want to: the same answer
	// has the same bytes from every build.
	var tight bytes.Buffer
	tight.Grow(len(loose))
	if err := json.Compact(&tight, loose); err != nil {
		return nil, err
	}
	return tight.Bytes(), nil
}
