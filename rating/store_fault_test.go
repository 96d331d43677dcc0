package rating

import (
	"context"
	"errors"
	"slices"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"movieexample.com/internal/sqldb"
	"movieexample.com/internal/sqldb/faultdriver"
	"movieexample.com/internal/sqldb/sqltest"
)

// What is stored before the operation under test, and what it adds.
var (
	seeded = []Rating{change(1, 1, 5, 0), change(1, 2, 6, 0), change(2, 1, 7, 0), change(3, 1, 8, 0)}
	// A re-rating, a delete, a new one, one that is too old, a delete of nothing, a repetition.
	added = []Rating{change(1, 1, 9, 10), change(2, 1, 0, 10), change(4, 4, 2, 10), change(3, 1, 1, -10), change(5, 5, 0, 10), change(4, 4, 2, 10)}
)

// seededStore has the seed, at offset len(seeded), and two dead letters: 100 is good, 101 is not.
func seededStore(t *testing.T) *sqltest.Template {
	t.Helper()
	return sqltest.NewTemplate(t, func(url string) {
		db := openDB(t, url, sqldb.Options{})
		s := storeOn(t, db)
		if _, err := s.begin(t.Context(), testPartition, 0); err != nil {
			t.Fatal(err)
		}
		good, bad := letterAt(100, "time-out-of-range", "was ahead"), letterAt(101, "not-json", "is no JSON")
		good.Payload = []byte(`{"userId":"u9","recordId":"m9","recordType":"movie","value":9}`)
		_, err := s.ingest(t.Context(), batch{
			partition: testPartition, start: 0, end: int64(len(seeded)), changes: seeded, dead: []deadLetter{good, bad},
		})
		if err != nil {
			t.Fatal(err)
		}
		if err := db.Close(); err != nil {
			t.Fatal(err)
		}
	})
}

// sweep runs a scenario once per operation and mode, each on a fresh copy of the seeded database.
func sweep(t *testing.T, scenario func(t *testing.T, s *store, plan *faultdriver.Plan)) {
	next, fired := seededStore(t).Copies(t), 0
	for plan := range faultdriver.Sweep(faultdriver.Modes()...) {
		db, err := sqldb.Open(t.Context(), next(), sqldb.Options{Wrap: plan.Wrap})
		if err != nil {
			t.Fatal(err)
		}
		s := storeOn(t, db)
		scenario(t, s, plan)
		if plan.Fired() {
			fired++
		}
		if t.Failed() {
			t.Fatalf("with the fault %v", plan)
		}
		s.checkAudit(t)
		if err := db.Close(); err != nil {
			t.Fatal(err)
		}
	}
	if fired < 4*4 { // begin, one statement, commit … in four modes
		t.Fatalf("only %d faults happened", fired)
	}
	t.Logf("%d faults", fired)
}

func TestFaultsInIngest(t *testing.T) {
	start, end := int64(len(seeded)), int64(len(seeded)+len(added)+1)
	sweep(t, func(t *testing.T, s *store, plan *faultdriver.Plan) {
		b := batch{partition: testPartition, start: start, end: end, changes: added, dead: []deadLetter{letterAt(end-1, "not-json", "is no JSON")}}
		plan.Start()
		_, err := s.ingest(t.Context(), b)
		plan.Stop()
		switch at := s.at(t, testPartition); {
		case at == end && len(s.letters(t)) == 3:
			modelOf(append(seeded, added...)...).check(t, s)
		case at == start && len(s.letters(t)) == 2 && err != nil:
			modelOf(seeded...).check(t, s)
		default:
			t.Errorf("ingest said %v; the offset is %d, of %d to %d, with %d dead letters", err, at, start, end, len(s.letters(t)))
		}
	})
}

// New ratings are not looked up before they are written. Others are exact at any place in the batch.
func TestIngestLooksUpOnlyWhatIsNotNew(t *testing.T) {
	plan := &faultdriver.Plan{Ops: []faultdriver.Op{faultdriver.Query}, Writer: true}
	s := openStore(t, sqldb.Options{Wrap: plan.Wrap})
	if _, err := s.begin(t.Context(), testPartition, 0); err != nil {
		t.Fatal(err)
	}
	var all []Rating
	next := int64(0)
	ingest := func(changes []Rating) (queries int) {
		t.Helper()
		all = append(all, changes...)
		plan.Start()
		_, err := s.ingest(t.Context(), batch{partition: testPartition, start: next, end: next + 1, changes: changes})
		plan.Stop()
		if err != nil {
			t.Fatal(err)
		}
		next++
		modelOf(all...).check(t, s)
		return plan.Count()
	}
	var fresh []Rating
	for i := range 700 {
		fresh = append(fresh, change(10+i%90, i, 1+i%10, i))
	}
	if n := ingest(fresh); n != 0 {
		t.Errorf("%d queries for ratings that are all new", n)
	}
	slices.SortFunc(fresh, func(a, b Rating) int { return a.compare(b.Key) })
	for _, at := range []int{0, 63, 64, 640, 672, 690, 697, 699} { // of 700 that are new but for one, in the order of their keys
		var mixed []Rating
		for i := range 700 {
			mixed = append(mixed, change(10+i%90, 1000*(1+at)+i, 1+i%10, i))
		}
		again := fresh[at]
		again.At++
		again.Value = Highest
		if n := ingest(append(mixed, again)); n == 0 {
			t.Error("nothing was looked up although one was there")
		}
	}
	ingest(fresh) // all of them again, each older or the same
	// Every place of batches so small that they are written by several statements: what the first of them inserted, the one that
	// fails must not take for what was there before.
	record := 2000
	for n := 2; n <= 9; n++ {
		for at := range n {
			record++
			ingest([]Rating{change(record, at, 3, 1)})
			var batch []Rating
			for i := range n {
				batch = append(batch, change(record, i, 1+i, 2))
			}
			ingest(batch)
		}
	}
}

// Through the ingester's own loop every fault ends in exactly the result, and no record is a dead letter for a fault.
func TestFaultsInTheIngester(t *testing.T) {
	start := int64(len(seeded))
	sweep(t, func(t *testing.T, s *store, plan *faultdriver.Plan) {
		in := newTestIngester(t, s, nil)
		plan.Start()
		next, err := in.startPartition(t.Context(), testPartition, 0)
		for err != nil { // as after a rebalance that failed
			next, err = in.startPartition(t.Context(), testPartition, 0)
		}
		if next != start {
			t.Errorf("starts at %d, want %d", next, start)
		}
		next, err = in.records(t.Context(), testPartition, append(logOf(start, added...), poison(start+int64(len(added)))))
		plan.Stop()
		if want := start + int64(len(added)) + 1; err != nil || next != want || s.at(t, testPartition) != want {
			t.Errorf("ingested up to %d (stored %d), %v; want %d", next, s.at(t, testPartition), err, want)
		}
		modelOf(append(seeded, added...)...).check(t, s)
		if got := s.letters(t); len(got) != 3 {
			t.Errorf("dead letters: %v, want the two there were and the poison", got)
		}
	})
}

func TestFaultsInTheStartOfAPartition(t *testing.T) {
	p := testPartition
	p.Number = 7
	sweep(t, func(t *testing.T, s *store, plan *faultdriver.Plan) {
		in := newTestIngester(t, s, nil)
		plan.Start()
		next, err := in.startPartition(t.Context(), p, 40)
		plan.Stop()
		if err != nil {
			if _, owned := in.position(p); owned {
				t.Error("the partition is owned after an error")
			}
			next, err = in.startPartition(t.Context(), p, 50) // its log may begin later by now
		}
		if err != nil || next != s.at(t, p) || next != 40 && next != 50 {
			t.Errorf("starts at %d, %v; stored is %d", next, err, s.at(t, p))
		}
	})
}

// A put that was acknowledged is there as it was acknowledged; one that was not changed nothing.
func TestFaultsInPut(t *testing.T) {
	for name, value := range map[string]int{"put": 10, "delete": tombstone} {
		t.Run(name, func(t *testing.T) {
			sweep(t, func(t *testing.T, s *store, plan *faultdriver.Plan) {
				key := seeded[0].Key
				plan.Start()
				r, err := s.putter().put(t.Context(), key, value)
				plan.Stop()
				if err == nil {
					if got := s.rows(t)[key]; got != r || r.Value != value {
						t.Errorf("acknowledged %v, stored %v", r, got)
					}
					modelOf(append(seeded, r)...).check(t, s)
				} else {
					modelOf(seeded...).check(t, s)
				}
			})
		})
	}
}

// The effect of a commit without an answer may be visible before it is on disk; a server killed at that moment loses it. So a put is
// acknowledged only after a commit that was answered. If the first commit succeeded, the rating is the same, one version later.
func TestPutAfterACommitOfUnknownOutcome(t *testing.T) {
	for _, mode := range faultdriver.Modes() {
		t.Run(mode.String(), func(t *testing.T) {
			plan := &faultdriver.Plan{N: 1, Mode: mode, Ops: []faultdriver.Op{faultdriver.Commit}, Writer: true}
			s := openStore(t, sqldb.Options{Wrap: plan.Wrap})
			plan.Start()
			r, err := s.putter().put(t.Context(), seeded[0].Key, 9)
			plan.Stop()
			if err != nil || !plan.Fired() {
				t.Fatalf("put: %v; fired %v", err, plan.Fired())
			}
			modelOf(r).check(t, s)
			version := ToMicros(t0)
			if mode == faultdriver.ErrorAfter || mode == faultdriver.LostAfter {
				version++
			}
			if plan.Count() != 2 || r.At != version {
				t.Errorf("%d commits for version %d, want 2 for %d", plan.Count(), r.At, version)
			}
		})
	}
}

// An attempt after one of unknown outcome.
func TestPutAgain(t *testing.T) {
	key := seeded[0].Key
	unsure := newRating(key, 9, ToMicros(t0)-10, "")
	for name, c := range map[string]struct {
		stored []Rating
		want   Rating // what is acknowledged
		wins   bool   // and stored then
	}{
		"it did not take place":           {nil, newRating(key, 9, ToMicros(t0), ""), true},
		"it did not, something older did": {[]Rating{newRating(key, 4, ToMicros(t0)-20, "")}, newRating(key, 9, ToMicros(t0), ""), true},
		"it did":                          {[]Rating{unsure}, newRating(key, 9, ToMicros(t0), ""), true},
		"an earlier write followed":       {[]Rating{newRating(key, 3, ToMicros(t0)-5, "")}, unsure, false},
		"another write followed":          {[]Rating{newRating(key, 3, ToMicros(t0)+5, "")}, unsure, false},
	} {
		t.Run(name, func(t *testing.T) {
			s := openStore(t, sqldb.Options{})
			if err := s.db.Write(t.Context(), func(ctx context.Context, tx *sqldb.Tx) error { return s.apply(ctx, tx, nil, c.stored) }); err != nil {
				t.Fatal(err)
			}
			got, err := s.putter().puts.Do(t.Context(), put{key: key, value: 9, unsure: &unsure})
			if err != nil || got != c.want {
				t.Errorf("acknowledged %v, %v; want %v", got, err, c.want)
			}
			if c.wins {
				modelOf(c.want).check(t, s)
			} else {
				modelOf(c.stored...).check(t, s)
			}
		})
	}
}

func TestFaultsInReplay(t *testing.T) {
	good, bad := letterAt(100, "", ""), letterAt(101, "", "")
	for name, id := range map[string]string{"good": good.id(), "still bad": bad.id()} {
		t.Run(name, func(t *testing.T) {
			sweep(t, func(t *testing.T, s *store, plan *faultdriver.Plan) {
				decode := func(d deadLetter) (Rating, bool, error) { return redecode(d, t0) }
				plan.Start()
				refused, err := s.replay(t.Context(), id, decode)
				plan.Stop()
				if err != nil {
					modelOf(seeded...).check(t, s)
					refused, err = s.replay(t.Context(), id, decode)
				}
				if err != nil || (refused != nil) != (id == bad.id()) {
					t.Errorf("replay: refused %v, %v", refused, err)
				}
				if id == bad.id() {
					modelOf(seeded...).check(t, s)
					if len(s.letters(t)) != 2 {
						t.Error("a letter that is still bad is gone")
					}
					return
				}
				key := Key{Record: Record{Type: "movie", ID: "m9"}, User: "u9"}
				modelOf(append(seeded, newRating(key, 9, ToMicros(t0), ""))...).check(t, s)
				if left := s.letters(t); len(left) != 1 || left[0].id() != bad.id() {
					t.Errorf("letters left: %v", left)
				}
			})
		})
	}
}

func TestFaultsInDrop(t *testing.T) {
	good, bad := letterAt(100, "", ""), letterAt(101, "", "")
	sweep(t, func(t *testing.T, s *store, plan *faultdriver.Plan) {
		ids := []string{good.id(), bad.id(), "no such letter"}
		plan.Start()
		n, err := s.drop(t.Context(), ids)
		plan.Stop()
		if err != nil {
			if len(s.letters(t)) != 2 {
				t.Errorf("%d letters left after %v", len(s.letters(t)), err)
			}
			n, err = s.drop(t.Context(), ids)
		}
		if err != nil || n != 2 || len(s.letters(t)) != 0 {
			t.Errorf("dropped %d, %v; %d left", n, err, len(s.letters(t)))
		}
		modelOf(seeded...).check(t, s)
	})
}

// A put that waits for the database until its context ends returns what it waited for.
func TestPutThatCannotCommitEndsWithItsContext(t *testing.T) {
	plan := &faultdriver.Plan{N: 1, Mode: faultdriver.LostBefore, Ops: []faultdriver.Op{faultdriver.Commit}}
	s := openStore(t, sqldb.Options{Wrap: plan.Wrap})
	ctx, cancel := context.WithCancel(t.Context())
	s.now = func() (now time.Time) { cancel(); return t0 }
	plan.Start()
	_, err := s.putter().put(ctx, seeded[0].Key, 9)
	if !errors.Is(err, context.Canceled) {
		t.Errorf("put ended with %v, want the context's error", err)
	}
	modelOf().check(t, s)
}

// A read that says nothing of a fault has everything: no fault makes a list, a history or a count shorter.
func TestFaultsInReads(t *testing.T) {
	type answer struct {
		value any
		err   error
	}
	of := func(value any, err error) answer { return answer{value, err} }
	readAll := func(ctx context.Context, s *store) [5]answer {
		return [5]answer{
			of(s.years(ctx, seeded[0].Record)),
			of(s.countUsers(ctx, "movie")),
			of(s.aggregatesAfter(ctx, "movie", "", 10)),
			of(s.ratingsAfter(ctx, seeded[0].Key, 10)),
			of(s.everyRatingAfter(ctx, Key{}, 10)),
		}
	}
	failed := [5]int{}
	sweep(t, func(t *testing.T, s *store, plan *faultdriver.Plan) {
		want := readAll(t.Context(), s)
		plan.Start()
		got := readAll(t.Context(), s)
		plan.Stop()
		for i := range got {
			if got[i].err != nil {
				failed[i]++
			} else if diff := cmp.Diff(want[i].value, got[i].value); diff != "" || want[i].err != nil {
				t.Errorf("read %d (-want +got, %v):\n%s", i, want[i].err, diff)
			}
		}
	})
	for i, n := range failed {
		if n == 0 {
			t.Errorf("read %d never failed: it hides faults", i)
		}
	}
}
