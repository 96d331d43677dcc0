package rating

import (
	"context"
	"errors"
	"strings"
	"testing"

	"github.com/prometheus/client_golang/prometheus/testutil"

	"movieexample.com/internal/sqldb"
	"movieexample.com/internal/sqldb/faultdriver"
	"movieexample.com/internal/sqldb/sqltest"
)

// refusedLetters are records of which the one at offset 1 cannot become the dead letter that it should.
func refusedLetters() map[string][]logRecord {
	events := logOf(0, change(1, 1, 5, 1), change(13, 13, 6, 1), change(3, 3, 7, 1))
	whole := events[1].deadLetter
	events[1].deadLetter = func(class string, err error) deadLetter {
		d := whole(class, err)
		d.ContentType = "odd"
		return d
	}
	bad := poison(1)
	bad.dead.ContentType = "odd"
	return map[string][]logRecord{
		"an event that the database refuses": events,
		"an event that the contract refuses": {events[0], bad, events[2]},
	}
}

// A dead letter that the database refuses is kept without what the sender chose, and the partition continues.
func TestADeadLetterThatTheDatabaseRefuses(t *testing.T) {
	for name, recs := range refusedLetters() {
		t.Run(name, func(t *testing.T) {
			url := sqltest.URL(t)
			s := storeOn(t, openDB(t, url, sqldb.Options{}))
			refuse(t, url, "dead_letters", "content_type", "odd")
			if recs[1].dead == nil {
				refuseAlso(t, url, "ratings", "user_id", "u13")
			}
			in := newTestIngester(t, s, nil)
			mustStart(t, in, 0)
			mustIngest(t, in, recs, 3)
			modelOf(recs[0].change, recs[2].change).check(t, s)
			letters := s.letters(t)
			if len(letters) != 1 {
				t.Fatalf("dead letters: %v", letters)
			}
			l := letters[0]
			if l.Offset != 1 || len(l.Payload) != 0 || len(l.RecordKey) != 0 || l.Class == "" ||
				!strings.Contains(l.Reason, "refused this dead letter with its key of 7 and its payload of 9 bytes") || !strings.Contains(l.Reason, "is not wanted") {
				t.Errorf("dead letter %+v", l)
			}
			if n := testutil.ToFloat64(in.metrics.refused); n != 1 {
				t.Errorf("%v refused", n)
			}
		})
	}
}

// A record of which the database takes nothing at all, not even the place, halts its partition. It ends; nothing is skipped.
func TestARecordWithoutADeadLetterHalts(t *testing.T) {
	for name, recs := range refusedLetters() {
		t.Run(name, func(t *testing.T) {
			url := sqltest.URL(t)
			s := storeOn(t, openDB(t, url, sqldb.Options{}))
			class := "not-json"
			if recs[1].dead == nil {
				class = classStoreRefused
				refuseAlso(t, url, "ratings", "user_id", "u13")
			}
			refuse(t, url, "dead_letters", "class", class)
			in := newTestIngester(t, s, nil)
			mustStart(t, in, 0)
			_, err := in.records(t.Context(), testPartition, recs)
			stuck := (*haltError)(nil)
			if !errors.As(err, &stuck) || !strings.Contains(stuck.reason, "the database refuses record 1") || !strings.Contains(stuck.reason, "--from 1' to try again, or with --from 2") {
				t.Fatalf("records: %v", err)
			}
			modelOf(recs[0].change).check(t, s)
			if at := s.at(t, testPartition); at != 1 || len(s.letters(t)) != 0 {
				t.Errorf("at %d, %d letters", at, len(s.letters(t)))
			}
			if next, _ := in.position(testPartition); next != 1 {
				t.Errorf("the ingester is at %d, and the database at 1", next)
			}
		})
	}
}

// Faults on the way to a reduced letter end in exactly one, and in no halt.
func TestFaultsInADeadLetter(t *testing.T) {
	next := sqltest.NewTemplate(t, func(url string) {
		db := openDB(t, url, sqldb.Options{})
		s := storeOn(t, db)
		if _, err := s.begin(t.Context(), testPartition, 0); err != nil {
			t.Fatal(err)
		}
		if err := db.Close(); err != nil {
			t.Fatal(err)
		}
	}).Copies(t)
	recs := []logRecord{poison(0), logOf(1, change(3, 3, 7, 1))[0]}
	recs[0].dead.ContentType = "odd"
	fired, refuses := 0, map[string]bool{}
	for plan := range faultdriver.Sweep(faultdriver.Modes()...) {
		url := next()
		db, err := sqldb.Open(t.Context(), url, sqldb.Options{Wrap: plan.Wrap})
		if err != nil {
			t.Fatal(err)
		}
		s := storeOn(t, db)
		if !refuses[url] { // on a server the copies are one after the other in one database
			refuse(t, url, "dead_letters", "content_type", "odd")
			refuses[url] = true
		}
		in := newTestIngester(t, s, nil)
		mustStart(t, in, 0)
		plan.Start()
		at, err := in.records(context.WithoutCancel(t.Context()), testPartition, recs)
		plan.Stop()
		if plan.Fired() {
			fired++
		}
		if err != nil || at != 2 {
			t.Fatalf("%v: ingested up to %d, %v", plan, at, err)
		}
		modelOf(recs[1].change).check(t, s)
		if l := s.letters(t); len(l) != 1 || l[0].Offset != 0 || len(l[0].Payload) != 0 {
			t.Fatalf("%v: dead letters %v", plan, l)
		}
		if err := db.Close(); err != nil {
			t.Fatal(err)
		}
	}
	if fired < 4*4 {
		t.Fatalf("only %d faults happened", fired)
	}
	t.Logf("%d faults", fired)
}
