package rating

import (
	"bytes"
	"strings"
	"testing"

	"movieexample.com/internal/sqldb"
)

// Ids are bytes: case, accents, trailing spaces and the Unicode form make other records and other users, and two versions
// are distinguished by a microsecond, then by the event.
func TestKeysAreBytes(t *testing.T) {
	s := openStore(t, sqldb.Options{})
	names := []string{"a", "A", "a ", "a  ", "á", "a\u0301", "\uff41", "ß", "ss", "\U0001F3AC", strings.Repeat("\U0001F3AC", 32)}
	var all []Rating
	for i, record := range names {
		for j, user := range names {
			k := Key{Record: Record{Type: "movie", ID: record}, User: user}
			all = append(all, newRating(k, 1+(i+j)%10, ToMicros(t0), ""), newRating(k, 1+(i*j)%10, ToMicros(t0)+1, ""), newRating(k, 5, ToMicros(t0), "other"))
		}
	}
	if _, err := s.begin(t.Context(), testPartition, 0); err != nil {
		t.Fatal(err)
	}
	if _, err := s.ingest(t.Context(), batch{partition: testPartition, end: 1, changes: all}); err != nil {
		t.Fatal(err)
	}
	modelOf(all...).check(t, s)
	for _, record := range names {
		page, err := s.byRecord(t.Context(), Record{Type: "movie", ID: record}, "", 100)
		if err != nil || len(page) != len(names) {
			t.Errorf("%q has %d ratings, %v; want %d", record, len(page), err, len(names))
		}
		for i := 1; i < len(page); i++ {
			if page[i-1].User >= page[i].User {
				t.Errorf("%q comes before %q", page[i-1].User, page[i].User)
			}
		}
		if r, err := s.putter().put(t.Context(), page[0].Key, 10); err != nil || r.At <= page[0].At {
			t.Errorf("put %v: %v, %v", page[0].Key, r, err)
		}
	}
}

// A batch of refused records, each as large as a broker takes, is stored: a statement with all of them would be larger
// than a MySQL server accepts.
func TestLargeDeadLetters(t *testing.T) {
	s := openStore(t, sqldb.Options{})
	if _, err := s.begin(t.Context(), testPartition, 0); err != nil {
		t.Fatal(err)
	}
	var dead []deadLetter
	for i := range int64(70) {
		d := letterAt(i, "not-json", "is no JSON")
		d.Payload = bytes.Repeat([]byte{0, 0xFF, '\'', '\\', byte(i)}, 1<<20/5)
		dead = append(dead, d)
	}
	if _, err := s.ingest(t.Context(), batch{partition: testPartition, end: 70, dead: dead}); err != nil {
		t.Fatal(err)
	}
	for i, l := range s.letters(t) {
		if !bytes.Equal(l.Payload, dead[i].Payload) {
			t.Errorf("letter %d came back otherwise", i)
		}
	}
	page, more, err := s.deadLetters(t.Context(), nil, 50)
	if err != nil || len(page) != 1 || !more {
		t.Errorf("a page has %d letters, more: %t, %v", len(page), more, err)
	}
}
