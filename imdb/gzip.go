package imdb

import (
	"bufio"
	"bytes"
	"errors"
	"fmt"
	"io"

	"github.com/klauspost/compress/gzip"
)

// unpacked reads a gzip file as gzip(1) does: members one behind the other (RFC 1952 §2.2), then zero bytes, with which tapes and
// disk images fill their blocks. The library takes them, as anything else behind a member, for a header that is broken.
type unpacked struct {
	packed *bufio.Reader
	z      *gzip.Reader
	err    error // why there is no more
}

func newUnpacked(packed *bufio.Reader) (*unpacked, error) {
	z, err := gzip.NewReader(packed)
	if err != nil {
		return nil, err
	}
	z.Multistream(false)
	return &unpacked{packed: packed, z: z}, nil
}

// errBehind is something else than a member behind a member.
var errBehind = errors.New("the gzip data is followed by something that is not gzip data")

func (u *unpacked) Read(p []byte) (int, error) {
	for u.err == nil {
		n, err := u.z.Read(p)
		if errors.Is(err, io.EOF) {
			u.err = u.nextMember()
			if u.err == nil && n == 0 {
				continue
			}
			return n, u.err
		}
		u.err = err
		return n, err
	}
	return 0, u.err
}

// nextMember continues to the next member: nil if there is one, io.EOF at the end of the file.
func (u *unpacked) nextMember() error {
	magic := []byte{0x1f, 0x8b}
	head, err := u.packed.Peek(len(magic))
	switch {
	case len(head) == 0 && errors.Is(err, io.EOF):
		return io.EOF
	case bytes.Equal(head, magic):
		err := u.z.Reset(u.packed)
		if errors.Is(err, io.EOF) {
			err = io.ErrUnexpectedEOF // within the header
		}
		u.z.Multistream(false)
		return err
	case len(head) == 1 && head[0] == magic[0]:
		return io.ErrUnexpectedEOF
	}
	for {
		c, err := u.packed.ReadByte()
		if err != nil {
			return err // io.EOF: zeros to the end
		}
		if c != 0 {
			return fmt.Errorf("%w, beginning with byte 0x%02x", errBehind, c)
		}
	}
}
