package rating

import (
	"context"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"movieexample.com/internal/sqldb"
	"movieexample.com/internal/sqldb/faultdriver"
)

// everything calls every method of the store, with arguments that make every text that it has.
func everything(ctx context.Context, s *store) {
	p := testPartition
	_, _ = s.begin(ctx, p, 0)
	_, _, _ = s.offset(ctx, p)
	many := make([]Rating, 127) // 64 + 32 + … + 1 rows
	ids := make([]string, len(many))
	for i := range many {
		many[i] = change(i, i, 5, i)
		ids[i] = many[i].ID
	}
	next, _, _ := s.offset(ctx, p)
	_, _ = s.ingest(ctx, batch{partition: p, start: next, end: next + 200, changes: many, dead: []deadLetter{letterAt(next, "c", "r")}})
	_, _ = s.putter().put(ctx, many[0].Key, 7)
	_, _ = s.read(ctx, many[0].Key)
	_, _ = s.byRecord(ctx, many[0].Record, "u", 10)
	for _, typ := range []string{"", "movie"} {
		for _, place := range []*userPlace{nil, {At: 5, Type: "movie", ID: "1"}} {
			_, _ = s.byUser(ctx, "u1", typ, place, 10)
		}
	}
	_ = s.aggregates(ctx, "movie", ids, func(string, Aggregate) {})
	for n := 1; n <= len(many); n *= 2 { // a planner may choose another way for many keys than for few
		_ = s.aggregates(ctx, "movie", ids[:n], func(string, Aggregate) {})
		_ = s.db.Write(ctx, func(ctx context.Context, tx *sqldb.Tx) error {
			_, err := s.before(ctx, tx, many[:n])
			return err
		})
	}
	_ = s.scanAggregates(ctx, "movie", func(string, Aggregate) {})
	_ = s.scanNewestFirst(ctx, "movie", func(string, Micros) bool { return true })
	_, _ = s.years(ctx, many[0].Record)
	_, _ = s.countUsers(ctx, "movie")
	_, _ = s.aggregatesAfter(ctx, "movie", "m1", 10)
	_, _ = s.ratingsAfter(ctx, many[0].Key, 10)
	_, _ = s.everyRatingAfter(ctx, Key{}, 1000)
	_, _, _ = s.audit(ctx, Record{}, 3)
	_, _, _ = s.audit(ctx, Record{}, 3000)
	_, _, _ = s.deadLetters(ctx, nil, 10)
	_, _, _ = s.deadLetters(ctx, &deadPlace{Created: 1, ID: "x"}, 10)
	_, _ = s.countDeadLetters(ctx)
	d := letterAt(next, "c", "r")
	_, _ = s.replay(ctx, d.id(), func(deadLetter) (Rating, bool, error) { return change(1, 1, 5, 1000), false, nil })
	_, _ = s.drop(ctx, []string{d.id()})
	_, _ = s.anyDeadLetter(ctx, []string{d.id()})
}

// texts returns every statement that the store executes: it makes one operation after the other fail, and the plan
// says which one it was.
func texts(t *testing.T, s *store, plan *faultdriver.Plan) map[string]bool {
	t.Helper()
	out := map[string]bool{}
	for plan.N = 1; ; plan.N++ {
		plan.Start()
		everything(t.Context(), s)
		plan.Stop()
		if !plan.Fired() {
			return out
		}
		_, said, _ := strings.Cut(plan.String(), ": ")
		if _, text, ok := strings.Cut(said, " "); ok && text != "" {
			for s := range strings.SplitSeq(text, ";\n") { // some travel together
				out[s] = true
			}
		}
	}
}

// scansAllowed are the statements that read a whole table or index, and why that is acceptable.
var scansAllowed = map[string]string{
	"FROM ingest_offsets o LEFT JOIN ingest_halts h":    "a row per partition",
	"SELECT COUNT(*) FROM dead_letters":                 "an operator asks how many there are",
	"FROM dead_letters ORDER BY created_at, id LIMIT ?": "the first page, in the order of an index",
}

// sortsAllowed are the statements that build a temporary index, and why that is acceptable.
var sortsAllowed = map[string]string{
	"SELECT COUNT(DISTINCT user_id) FROM ratings": "no index has type, value and user together, and an index is written with every rating",
}

// No statement of the store reads more of a table than its answer needs, or sorts what an index has in order: SQLite says
// so itself (store_servers_test.go asks MySQL).
func TestQueryPlans(t *testing.T) {
	t.Parallel()
	plan := &faultdriver.Plan{Mode: faultdriver.ErrorBefore, Ops: []faultdriver.Op{faultdriver.Exec, faultdriver.Query}}
	s := storeOn(t, openDB(t, "sqlite:"+filepath.Join(t.TempDir(), "rating.db"), sqldb.Options{Wrap: plan.Wrap}))
	all := texts(t, s, plan)
	if len(all) < 40 {
		t.Fatalf("only %d statements were seen", len(all))
	}
	values := regexp.MustCompile(`SCAN (\d+-ROW VALUES CLAUSE|CONSTANT ROW)`) // rows that came as arguments
	used := map[string]bool{}
	for text := range all {
		args := make([]any, strings.Count(text, "?"))
		var steps []string
		err := eachRow(t.Context(), s.db.Read(), func(get scanFunc) error {
			var a, b, c any
			var detail string
			err := get(&a, &b, &c, &detail)
			steps = append(steps, detail)
			return err
		}, "EXPLAIN QUERY PLAN "+text, args...)
		if err != nil {
			t.Errorf("%s\n%v", text, err)
		}
		how := strings.Join(steps, "; ")
		rest := values.ReplaceAllString(how, "")
		sorts := strings.Contains(rest, "TEMP B-TREE") || strings.Contains(rest, "AUTOMATIC")
		bad := sorts || strings.Contains(rest, "SCAN ")
		for allowed := range scansAllowed {
			if bad && !sorts && strings.Contains(text, allowed) {
				bad, used[allowed] = false, true
			}
		}
		for allowed := range sortsAllowed {
			if sorts && strings.Contains(text, allowed) {
				bad, used[allowed] = false, true
			}
		}
		if bad {
			t.Errorf("%.300s\n\tis executed as: %s", text, how)
		}
	}
	for allowed, why := range scansAllowed {
		if !used[allowed] {
			t.Errorf("%q may scan (%s), but does not", allowed, why)
		}
	}
	for allowed, why := range sortsAllowed {
		if !used[allowed] {
			t.Errorf("%q may sort (%s), but does not", allowed, why)
		}
	}
	t.Logf("%d statements", len(all))
}
