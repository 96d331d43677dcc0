package imdb

import (
	"bytes"
	"errors"
	"io"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"pgregory.net/rapid"
)

// TestSorter: however little fits into memory, and however few runs are merged at a time, what goes in comes out in order.
func TestSorter(t *testing.T) {
	dir := t.TempDir()
	rapid.Check(t, func(t *rapid.T) {
		s := newSorter(dir)
		s.memory = rapid.IntRange(1, 200).Draw(t, "memory")
		s.fanIn = rapid.IntRange(2, 5).Draw(t, "fan-in")
		want := rapid.SliceOf(rapid.SliceOfN(rapid.Byte(), 0, 20)).Draw(t, "records")
		for _, r := range want {
			if err := s.add(r); err != nil {
				t.Fatal(err)
			}
			if len(s.arena) > s.memory+20 || len(s.runs) >= s.fanIn {
				t.Fatalf("%d bytes and %d runs are held", len(s.arena), len(s.runs))
			}
		}
		c, err := s.sorted()
		if err != nil {
			t.Fatal(err)
		}
		var got [][]byte
		for {
			r, err := c.next()
			if errors.Is(err, io.EOF) {
				break
			}
			if err != nil {
				t.Fatal(err)
			}
			got = append(got, bytes.Clone(r))
		}
		slices.SortFunc(want, bytes.Compare)
		if !slices.EqualFunc(want, got, bytes.Equal) {
			t.Fatalf("got %q, want %q", got, want)
		}
		if err := s.close(); err != nil {
			t.Fatal(err)
		}
		if left, err := os.ReadDir(dir); err != nil || len(left) > 0 {
			t.Fatalf("left %v, error %v", left, err)
		}
	})
}

// TestSorterWithoutDisk: if there is no space for temporary files, the error says what to do.
func TestSorterWithoutDisk(t *testing.T) {
	s := newSorter(filepath.Join(t.TempDir(), "none"))
	s.memory = 1
	err := errors.Join(s.add([]byte("a")), s.add([]byte("b")))
	if err == nil || !strings.Contains(err.Error(), "TMPDIR names the directory") {
		t.Errorf("no directory: %v", err)
	}
	full, err := os.OpenFile("/dev/full", os.O_WRONLY, 0)
	if err != nil {
		t.Logf("this system has no /dev/full: %v", err)
		return
	}
	s = newSorter("")
	s.memory, s.file = 1, &tempFile{file: full}
	err = errors.Join(s.add([]byte("a")), s.add([]byte("b")))
	if err == nil || !strings.Contains(err.Error(), "no space left on device; TMPDIR may name a directory with more room") {
		t.Errorf("a full disk: %v", err)
	}
	if err := s.close(); err != nil {
		t.Error(err)
	}
}
