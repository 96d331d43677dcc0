package test

import (
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"os"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/twmb/franz-go/pkg/kgo"

	"movieexample.com/internal/syntax/syntaxtest"
	"movieexample.com/test/system"
)

// doors are the ways in that the corpus is tried at, all of one running system.
type doors struct {
	t   *testing.T
	p   *system.Process
	bin string
	n   int // of records and users used so far
}

// next is an unused id.
func (d *doors) next() string {
	d.n++
	return "g" + strconv.Itoa(d.n)
}

// put sends a body and returns the answer's code and JSON.
func (d *doors) put(path, body string) (int, string) {
	d.t.Helper()
	req, err := http.NewRequestWithContext(d.t.Context(), http.MethodPut, d.p.Gateway+path, strings.NewReader(body))
	if err != nil {
		d.t.Fatal(err)
	}
	req.Header.Set("Content-Type", "application/json")
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		d.t.Fatal(err)
	}
	defer resp.Body.Close()
	text, err := io.ReadAll(resp.Body)
	if err != nil {
		d.t.Fatal(err)
	}
	return resp.StatusCode, string(text)
}

// publish sends events to Kafka, waits until they are ingested, and reports which of them are no dead letters.
func (d *doors) publish(values []string) []bool {
	d.t.Helper()
	producer, err := kgo.NewClient(kgo.SeedBrokers(d.p.Kafka), kgo.DefaultProduceTopic("ratings"), kgo.RecordPartitioner(kgo.ManualPartitioner()))
	if err != nil {
		d.t.Fatal(err)
	}
	defer producer.Close()
	var records []*kgo.Record
	for _, v := range values {
		records = append(records, &kgo.Record{Partition: 0, Value: []byte(v)})
	}
	if err := producer.ProduceSync(d.t.Context(), records...).FirstErr(); err != nil {
		d.t.Fatal(err)
	}
	place := make(map[int64]int, len(records)) // by offset
	last := int64(0)
	for i, r := range records {
		place[r.Offset] = i
		last = max(last, r.Offset)
	}
	deadline := time.Now().Add(time.Minute)
	for ingested := int64(0); ingested <= last; {
		if time.Now().After(deadline) {
			d.t.Fatalf("%d of %d events are ingested after a minute", ingested, last+1)
		}
		var list struct {
			Partitions []struct{ Partition, NextOffset int64 }
		}
		d.command(&list, "ingestion", "list")
		for _, p := range list.Partitions {
			if p.Partition == 0 {
				ingested = p.NextOffset
			}
		}
	}
	var dead struct {
		DeadLetters []struct{ Partition, Offset int64 }
	}
	d.command(&dead, "dead-letters", "list", "--limit", "0")
	ok := make([]bool, len(values))
	for i := range ok {
		ok[i] = true
	}
	for _, l := range dead.DeadLetters {
		if i, found := place[l.Offset]; found && l.Partition == 0 {
			ok[i] = false
		}
	}
	return ok
}

// command runs a command of the program and reads its JSON.
func (d *doors) command(into any, args ...string) system.Result {
	d.t.Helper()
	r := system.Run(d.t.Context(), d.t, d.bin, append(args, "--addresses", d.p.File, "-o", "json")...)
	if r.Stdout != "" {
		if err := json.Unmarshal([]byte(r.Stdout), into); err != nil {
			d.t.Fatalf("%v: %v\n%s%s", args, err, r.Stdout, r.Stderr)
		}
	}
	return r
}

var lineNumber = regexp.MustCompile(`(?m)^(?:note: )?\S+ line (\d+): `)

// imported imports lines behind a header and reports which went in whole.
func (d *doors) imported(what, name, header string, lines []string) []bool {
	d.t.Helper()
	file, rejects := filepath.Join(d.t.TempDir(), name), filepath.Join(d.t.TempDir(), "rejects")
	if err := os.WriteFile(file, []byte(header+"\n"+strings.Join(lines, "\n")+"\n"), 0o600); err != nil {
		d.t.Fatal(err)
	}
	var summary struct{ Rejected int }
	r := d.command(&summary, "import", what, file, "--rejects", rejects)
	text, err := os.ReadFile(rejects)
	if err != nil || r.Code != 0 && r.Code != 3 {
		d.t.Fatalf("import %s %s: %+v, %v", what, name, r, err)
	}
	ok := make([]bool, len(lines))
	for i := range ok {
		ok[i] = true
	}
	found := 0
	for _, line := range lineNumber.FindAllStringSubmatch(string(text)+r.Stderr, -1) {
		if n, err := strconv.Atoi(line[1]); err == nil {
			ok[n-2], found = false, found+1
		}
	}
	if found < summary.Rejected {
		d.t.Fatalf("%d rows are rejected and %d are told: %s", summary.Rejected, found, text)
	}
	return ok
}

const (
	goodEvent  = `{"userId":"first","recordId":"first","recordType":"movie","value":8,"ratedAt":"2021-01-01T00:00:00Z"}`
	goodMovie  = `{"id":"first","title":"First"}`
	goodRating = "recordType,recordId,userId,value,ratedAt"
)

// TestOneGrammar tries the corpus at every door through which JSON, whole numbers and times come in: REST bodies of films and of ratings,
// rating events in Kafka, and the lines of imported files. One text has one verdict.
func TestOneGrammar(t *testing.T) {
	bin := system.Build(t)
	d := &doors{t: t, p: system.Start(t, bin, t.TempDir()), bin: bin}
	corpus := syntaxtest.Load(t)
	verdict := func(door, text string, got, want bool) {
		if got != want {
			t.Errorf("%s takes it %v, want %v: %q", door, got, want, text)
		}
	}
	all := func(door string, texts []string, got, want []bool) {
		for i := range texts {
			verdict(door, texts[i], got[i], want[i])
		}
	}
	event := func(member string) string {
		id := d.next()
		return fmt.Sprintf(`"userId":%q,"recordId":%q,"recordType":"movie","ratedAt":"2021-01-01T00:00:00Z"`, id, id) + member
	}
	both := func(members []string, want []bool) { // of events
		t.Helper()
		all("Kafka", members, d.publish(members), want)
		all("import ratings, JSON lines", members, d.imported("ratings", "r.jsonl", goodEvent, members), want)
	}

	var events, movies []string
	var want []bool
	for _, c := range corpus.Texts {
		events = append(events, c.For(event(`,"value":8`), "providerId"))
		movies = append(movies, c.For(fmt.Sprintf(`"id":%q,"title":"T"`, d.next()), "director"))
		want = append(want, c.OK)
		code, answer := d.put("/v1/movies/"+d.next(), c.For(`"title":"T"`, "director"))
		verdict("PUT of a film", c.Name+": "+answer, code == http.StatusOK, c.OK)
	}
	both(events, want)
	all("import movies, JSON lines", movies, d.imported("movies", "m.jsonl", goodMovie, movies), want)

	events, movies, want = nil, nil, nil
	for _, c := range corpus.Strings {
		events = append(events, "{"+event(`,"value":8,"providerId":`+c.Text)+"}")
		movies = append(movies, fmt.Sprintf(`{"id":%q,"title":"T","director":`, d.next())+c.Text+"}")
		want = append(want, c.OK)
		code, answer := d.put("/v1/movies/"+d.next(), `{"title":"T","director":`+c.Text+`}`)
		verdict("PUT of a film", c.Text, code == http.StatusOK, c.OK)
		var film struct{ Director string }
		if err := json.Unmarshal([]byte(answer), &film); c.OK && (err != nil || film.Director != c.Value) {
			t.Errorf("%s: the film has %q, want %q", c.Text, film.Director, c.Value)
		}
	}
	both(events, want)
	all("import movies, JSON lines", movies, d.imported("movies", "m.jsonl", goodMovie, movies), want)

	events, movies, want = nil, nil, nil
	for _, c := range corpus.Integers {
		events = append(events, "{"+event(`,"value":`+c.Text)+"}")
		movies = append(movies, fmt.Sprintf(`{"id":%q,"title":"T","runtimeMinutes":`, d.next())+c.Text+"}")
		want = append(want, c.OK)
		code, answer := d.put("/v1/records/movie/"+d.next()+"/ratings/u", `{"value":`+c.Text+`}`)
		verdict("PUT of a rating", c.Text, code == http.StatusOK, c.OK)
		if c.OK && !strings.Contains(answer, fmt.Sprintf(`"value":%d,`, c.Value)) {
			t.Errorf("%s: the rating is %s, want %d", c.Text, answer, c.Value)
		}
		code, answer = d.put("/v1/movies/"+d.next(), `{"title":"T","runtimeMinutes":`+c.Text+`}`)
		verdict("PUT of a film", c.Text, code == http.StatusOK, c.OK)
		if c.OK && !strings.Contains(answer, fmt.Sprintf(`"runtimeMinutes":%d,`, c.Value)) {
			t.Errorf("%s: the film is %s, want %d", c.Text, answer, c.Value)
		}
	}
	both(events, want)
	all("import movies, JSON lines", movies, d.imported("movies", "m.jsonl", goodMovie, movies), want)

	events, want = nil, nil
	var rows []string
	for _, c := range corpus.Times {
		id := d.next()
		events = append(events, fmt.Sprintf(`{"userId":%q,"recordId":%q,"recordType":"movie","value":8,"ratedAt":%q}`, id, id, c.Text))
		rows = append(rows, fmt.Sprintf(`movie,%s,%s,8,"%s"`, id, d.next(), c.Text))
		want = append(want, c.OK)
		code, _ := d.put("/v1/movies/"+d.next(), fmt.Sprintf(`{"title":"T","ratingSummary":{"asOfTime":%q}}`, c.Text))
		verdict("PUT of a film", c.Text, code == http.StatusOK, c.OK)
	}
	both(events, want)
	all("import ratings, CSV", rows, d.imported("ratings", "r.csv", goodRating, rows), want)
	exported := system.Run(t.Context(), t, bin, "export", "ratings", "--format", "csv", "--addresses", d.p.File).Stdout
	for i, c := range corpus.Times {
		fields := strings.Split(rows[i], ",")
		for _, user := range []string{fields[1], fields[2]} { // by an event, and by a row
			if line := fmt.Sprintf("movie,%s,%s,8,%s\n", fields[1], user, c.Value); c.OK && !strings.Contains(exported, line) {
				t.Errorf("%s: the export has no line %s", c.Text, line)
			}
		}
	}
}

// TestHiddenCharacters: an identifier that looks like another one is refused at every door, with its field and its code point; a title that
// shows nothing is none.
func TestHiddenCharacters(t *testing.T) {
	bin := system.Build(t)
	d := &doors{t: t, p: system.Start(t, bin, t.TempDir()), bin: bin}
	var events, rows, movies []string
	var want []bool
	for _, r := range "\u200b\u200d\u2060\ufeff\u00ad\u3164\u2800\u115f\u00a0\ufe0f\U000e0020" {
		id, shown := "v19"+string(r)+"x", fmt.Sprintf("%U", r)
		events = append(events, fmt.Sprintf(`{"userId":"%s","recordId":"r","recordType":"movie","value":8,"ratedAt":"2021-01-01T00:00:00Z"}`, id),
			fmt.Sprintf(`{"userId":"u","recordId":"%s","recordType":"movie","value":8,"ratedAt":"2021-01-01T00:00:00Z"}`, id))
		rows = append(rows, "movie,r,"+id+",8,2021-01-01T00:00:00Z", "movie,"+id+",u,8,2021-01-01T00:00:00Z")
		movies = append(movies, fmt.Sprintf(`{"id":"%s","title":"T"}`, id), fmt.Sprintf(`{"id":"%s","title":"%c"}`, d.next(), r))
		want = append(want, false, false)
		for path, body := range map[string]string{
			"/v1/movies/" + url.PathEscape(id): `{"title":"T"}`, "/v1/records/movie/r/ratings/" + url.PathEscape(id): `{"value":8}`, "/v1/records/movie/" + url.PathEscape(id) + "/ratings/u": `{"value":8}`,
		} {
			if code, answer := d.put(path, body); code != http.StatusBadRequest || !strings.Contains(answer, shown) || !strings.Contains(answer, "d: must not contain characters that do not show") {
				t.Errorf("PUT %s: %d %s, want 400 with the field and %s", path, code, answer, shown)
			}
		}
		if code, answer := d.put("/v1/movies/"+d.next(), fmt.Sprintf(`{"title":"%c%c"}`, r, r)); code != http.StatusBadRequest || !strings.Contains(answer, "title: is required") {
			t.Errorf("a title of %s: %d %s, want that it is required", shown, code, answer)
		}
	}
	check := func(door string, texts []string, got []bool) {
		for i := range texts {
			if got[i] != want[i] {
				t.Errorf("%s takes %+q", door, texts[i])
			}
		}
	}
	check("Kafka", events, d.publish(events))
	check("import ratings, JSON lines", events, d.imported("ratings", "r.jsonl", goodEvent, events))
	check("import ratings, CSV", rows, d.imported("ratings", "r.csv", goodRating, rows))
	check("import movies, JSON lines", movies, d.imported("movies", "m.jsonl", goodMovie, movies))
	// Joiners between what shows are part of a title, in Persian, in Indic scripts, in emoji.
	for _, title := range []string{"می\u200cخواهم زنده بمانم", "क्\u200dष", "The 👨\u200d👩\u200d👧 Film", "I \u2764\ufe0f You"} {
		code, answer := d.put("/v1/movies/"+d.next(), fmt.Sprintf(`{"title":"%s"}`, title))
		var film struct{ Title string }
		if err := json.Unmarshal([]byte(answer), &film); code != http.StatusOK || err != nil || film.Title != title {
			t.Errorf("the title %+q: %d %s", title, code, answer)
		}
	}
}
