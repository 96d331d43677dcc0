package client

import (
	"bufio"
	"errors"
	"fmt"
	"io"
	"os"
)

// lineFinder turns places in a file into line numbers, for rows that are well-formed and yet have to be rejected. It reads the
// file a second time, only as far as it is asked, and only forward.
type lineFinder struct {
	path   string
	file   *os.File
	r      *bufio.Reader
	offset int64
	line   int
}

// at returns the line on which the row starts that follows the first offset bytes; blank lines are no rows, and offset 0
// means the first row after the header. Offsets must not fall.
func (f *lineFinder) at(offset int64) (int, error) {
	if f.file == nil {
		file, err := os.Open(f.path)
		if err != nil {
			return 0, fmt.Errorf("find the line of a rejected row: %w", err)
		}
		f.file, f.r, f.line = file, bufio.NewReaderSize(file, 64<<10), 1
	}
	header := offset == 0 && f.line == 1
	for {
		c, err := f.r.ReadByte()
		if errors.Is(err, io.EOF) {
			return f.line, nil
		}
		if err != nil {
			return 0, fmt.Errorf("find the line of a rejected row: %w", err)
		}
		if f.offset >= offset && !header && c != '\n' && c != '\r' {
			return f.line, f.r.UnreadByte()
		}
		f.offset++
		if c == '\n' {
			f.line++
			header = false
		}
	}
}

func (f *lineFinder) close() {
	if f.file != nil {
		_ = f.file.Close() // read only
	}
}
