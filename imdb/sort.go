package imdb

import (
	"bufio"
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"os"
	"slices"
)

const (
	// sortMemory is how many bytes a sorter holds before it writes them out: records, and where they are.
	sortMemory = 4 << 20
	// sortRuns is how many sorted pieces a sorter has before it makes one of them: each is read with its own buffer.
	sortRuns = 64
	// runBuffer is the size of those buffers.
	runBuffer = 16 << 10
)

// sorter sorts records by their bytes, any number of them in constant memory: what does not fit goes to a temporary
// file as sorted runs, which are merged when they are read.
type sorter struct {
	dir    string // for the file; empty is the system's directory for such files
	memory int    // sortMemory but in tests
	fanIn  int    // sortRuns but in tests

	arena   []byte
	spans   []span
	ordered bool // the records in memory came in order

	file *tempFile
	runs []run
}

// span is the place of a record in the arena, which is never as large as the numbers could be.
type span struct{ from, to uint32 }

const spanSize = 8

// run is a place in the file.
type run struct{ from, size int64 }

func newSorter(dir string) *sorter {
	return &sorter{dir: dir, memory: sortMemory, fanIn: sortRuns, ordered: true}
}

// add takes a record, and copies it.
func (s *sorter) add(record []byte) error {
	if len(s.arena)+len(record)+spanSize*len(s.spans) > s.memory && len(s.spans) > 0 {
		if err := s.spill(); err != nil {
			return err
		}
	}
	if s.arena == nil {
		s.arena = make([]byte, 0, s.memory) // at once: growing would leave as much garbage behind
	}
	from := len(s.arena)
	s.arena = append(s.arena, record...)
	if n := len(s.spans); s.ordered && n > 0 {
		last := s.spans[n-1]
		s.ordered = bytes.Compare(s.arena[last.from:last.to], record) <= 0
	}
	s.spans = append(s.spans, span{uint32(from), uint32(len(s.arena))})
	return nil
}

// sortSpans sorts what is in memory.
func (s *sorter) sortSpans() {
	if !s.ordered {
		slices.SortFunc(s.spans, func(a, b span) int {
			return bytes.Compare(s.arena[a.from:a.to], s.arena[b.from:b.to])
		})
	}
	s.ordered = true
}

// spill writes what is in memory out as a run.
func (s *sorter) spill() error {
	s.sortSpans()
	if s.file == nil {
		var err error
		if s.file, err = newTempFile(s.dir); err != nil {
			return err
		}
	}
	r, err := s.file.write(func(w *bufio.Writer) error {
		for _, sp := range s.spans {
			if err := writeRecord(w, s.arena[sp.from:sp.to]); err != nil {
				return err
			}
		}
		return nil
	})
	if err != nil {
		return err
	}
	s.runs = append(s.runs, r)
	s.arena, s.spans = s.arena[:0], s.spans[:0]
	if len(s.runs) < s.fanIn {
		return nil
	}
	return s.compact()
}

// compact makes one run of all.
func (s *sorter) compact() (err error) {
	merged, err := newTempFile(s.dir)
	if err != nil {
		return err
	}
	c := s.mergeRuns()
	r, err := merged.write(func(w *bufio.Writer) error {
		for {
			record, err := c.next()
			if errors.Is(err, io.EOF) {
				return nil
			}
			if err != nil {
				return err
			}
			if err := writeRecord(w, record); err != nil {
				return err
			}
		}
	})
	if err != nil {
		return errors.Join(err, merged.close())
	}
	old := s.file
	s.file, s.runs = merged, append(s.runs[:0], r)
	return old.close()
}

func writeRecord(w *bufio.Writer, record []byte) error {
	if _, err := w.Write(binary.AppendUvarint(w.AvailableBuffer(), uint64(len(record)))); err != nil {
		return err
	}
	_, err := w.Write(record)
	return err
}

// sorted ends the adding and returns the records in order.
func (s *sorter) sorted() (*cursor, error) {
	if s.file == nil {
		s.sortSpans()
		return &cursor{memory: s}, nil
	}
	if len(s.spans) > 0 {
		if err := s.spill(); err != nil {
			return nil, err
		}
	}
	s.arena, s.spans = nil, nil
	return s.mergeRuns(), nil
}

// close frees memory and disk. The cursor must not be used afterwards.
func (s *sorter) close() error {
	s.arena, s.spans = nil, nil
	if s.file == nil {
		return nil
	}
	f := s.file
	s.file = nil
	return f.close()
}

func (s *sorter) mergeRuns() *cursor {
	c := &cursor{}
	for _, r := range s.runs {
		c.runs = append(c.runs, &runReader{r: bufio.NewReaderSize(io.NewSectionReader(s.file.file, r.from, r.size), runBuffer)})
	}
	return c
}

// cursor yields records in order: those in memory, or those of the runs by a heap of the runs' next records.
type cursor struct {
	memory *sorter
	at     int

	runs  []*runReader
	begun bool
}

// next returns the next record, valid until the next call. At the end the error is io.EOF.
func (c *cursor) next() ([]byte, error) {
	if c.memory != nil {
		if c.at == len(c.memory.spans) {
			return nil, io.EOF
		}
		sp := c.memory.spans[c.at]
		c.at++
		return c.memory.arena[sp.from:sp.to], nil
	}
	if !c.begun {
		c.begun = true
		for i := len(c.runs) - 1; i >= 0; i-- {
			if err := c.advance(i); err != nil {
				return nil, err
			}
		}
		for i := len(c.runs)/2 - 1; i >= 0; i-- {
			c.sink(i)
		}
	} else if len(c.runs) > 0 {
		if err := c.advance(0); err != nil {
			return nil, err
		}
		c.sink(0)
	}
	if len(c.runs) == 0 {
		return nil, io.EOF
	}
	return c.runs[0].record, nil
}

// advance reads the next record of a run, and drops the run if there is none.
func (c *cursor) advance(i int) error {
	err := c.runs[i].read()
	if errors.Is(err, io.EOF) {
		last := len(c.runs) - 1
		c.runs[i] = c.runs[last]
		c.runs = c.runs[:last]
		return nil
	}
	return err
}

// sink restores the heap below i.
func (c *cursor) sink(i int) {
	for {
		least := i
		for child := 2*i + 1; child <= 2*i+2 && child < len(c.runs); child++ {
			if bytes.Compare(c.runs[child].record, c.runs[least].record) < 0 {
				least = child
			}
		}
		if least == i {
			return
		}
		c.runs[i], c.runs[least] = c.runs[least], c.runs[i]
		i = least
	}
}

// runReader reads a run.
type runReader struct {
	r      *bufio.Reader
	record []byte
}

func (r *runReader) read() error {
	n, err := binary.ReadUvarint(r.r)
	if err != nil {
		return err // io.EOF between records, else the file is not what was written
	}
	r.record = slices.Grow(r.record[:0], int(n))[:n]
	if _, err := io.ReadFull(r.r, r.record); err != nil {
		return fmt.Errorf("read a temporary file: %w", err)
	}
	return nil
}

// tempFile is a file that is deleted when it is closed, or when the process ends.
type tempFile struct {
	file *os.File
	name string // if it still has one
	size int64
}

func newTempFile(dir string) (*tempFile, error) {
	f, err := os.CreateTemp(dir, "movieexample-import-*")
	if err != nil {
		return nil, fmt.Errorf("make a temporary file: %w; TMPDIR names the directory for such files", err)
	}
	t := &tempFile{file: f, name: f.Name()}
	// Where the system allows it, the name goes at once: not even a kill leaves the file behind.
	if os.Remove(t.name) == nil {
		t.name = ""
	}
	return t, nil
}

// write appends to the file.
func (t *tempFile) write(fill func(*bufio.Writer) error) (run, error) {
	w := bufio.NewWriterSize(t.file, 64<<10)
	err := fill(w)
	if err == nil {
		err = w.Flush()
	}
	if err != nil {
		return run{}, fmt.Errorf("write a temporary file: %w; TMPDIR may name a directory with more room, all of IMDb needs some 300 MB", err)
	}
	end, err := t.file.Seek(0, io.SeekCurrent)
	if err != nil {
		return run{}, fmt.Errorf("write a temporary file: %w", err)
	}
	r := run{t.size, end - t.size}
	t.size = end
	return r, nil
}

func (t *tempFile) close() error {
	err := t.file.Close()
	if t.name != "" {
		err = errors.Join(err, os.Remove(t.name))
	}
	return err
}
