package formats_test

import (
	"bytes"
	"errors"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/testing/protocmp"
	"pgregory.net/rapid"

	"movieexample.com/api/events"
	"movieexample.com/client/formats"
	metadatav1 "movieexample.com/gen/movieexample/metadata/v1"
)

// read collects what a file has.
func readMovies(t testing.TB, text string, f formats.Format, whole bool) (movies []*metadatav1.Movie, bad []string, err error) {
	t.Helper()
	for row, err := range formats.ReadMovies("f", strings.NewReader(text), f, whole) {
		if r := (*formats.RowError)(nil); errors.As(err, &r) {
			bad = append(bad, r.Error())
			continue
		}
		if err != nil {
			return movies, bad, err
		}
		movies = append(movies, row.Movie)
	}
	return movies, bad, nil
}

func writeMovies(t testing.TB, f formats.Format, movies ...*metadatav1.Movie) string {
	t.Helper()
	var b bytes.Buffer
	w := formats.NewMovieWriter(&b, f)
	for _, m := range movies {
		if err := w.Write(m); err != nil {
			t.Fatal(err)
		}
	}
	if err := w.Flush(); err != nil {
		t.Fatal(err)
	}
	return b.String()
}

// hostile is a movie with everything in it that a format could trip over.
func hostile() *metadatav1.Movie {
	return &metadatav1.Movie{
		Id: `=1+1,"x"`, Title: `"Quoted", and | piped \ =SUM(A1)`, OriginalTitle: "-Ünï\u2028cödé 🎬",
		AlternativeTitles: []string{`a|b`, `c\`, `\|`, `"`, "@x", "<b>&amp;</b>"}, Year: proto.Int32(1999), Genres: []string{"Sci-Fi", `R|B`},
		Director: "A, B", Description: "one\n\n\"two\"\n\tthree,\n", RuntimeMinutes: proto.Int32(1),
		ExternalIds: &metadatav1.ExternalIds{Imdb: "tt0000001", Movielens: "7"},
	}
}

// TestMoviesAsWritten holds the bytes: they are promised to those who read our files with other programs.
func TestMoviesAsWritten(t *testing.T) {
	least := &metadatav1.Movie{Id: "x", Title: "X"}
	for format, want := range map[formats.Format]string{
		formats.CSV: `id,title,originalTitle,alternativeTitles,year,genres,director,description,runtimeMinutes,imdb,tmdb,movielens
x,X,,,,,,,,,,
"=1+1,""x""","""Quoted"", and | piped \ =SUM(A1)",` + "-Ünï\u2028cödé 🎬" + `,"a\|b|c\\|\\\||""|@x|<b>&amp;</b>",1999,Sci-Fi|R\|B,"A, B","one

""two""
	three,
",1,tt0000001,,7
`,
		formats.JSONL: `{"id":"x","title":"X"}
{"id":"=1+1,\"x\"","title":"\"Quoted\", and | piped \\ =SUM(A1)","originalTitle":"-Ünï\u2028cödé 🎬","alternativeTitles":["a|b","c\\","\\|","\"","@x","<b>&amp;</b>"],"year":1999,"genres":["Sci-Fi","R|B"],"director":"A, B","description":"one\n\n\"two\"\n\tthree,\n","runtimeMinutes":1,"externalIds":{"imdb":"tt0000001","movielens":"7"}}
`,
	} {
		got := writeMovies(t, format, least, hostile())
		if diff := cmp.Diff(want, got); diff != "" {
			t.Errorf("%s (-want +got):\n%s", format, diff)
		}
		movies, bad, err := readMovies(t, got, format, true)
		if err != nil || len(bad) > 0 {
			t.Errorf("%s: %q, %v", format, bad, err)
		}
		if diff := cmp.Diff([]*metadatav1.Movie{least, hostile()}, movies, protocmp.Transform()); diff != "" {
			t.Errorf("%s, read back (-want +got):\n%s", format, diff)
		}
		crlf := strings.ReplaceAll(got, "\n", "\r\n")
		if movies, bad, err := readMovies(t, "\xef\xbb\xbf"+crlf+"\r\n", format, true); err != nil || len(bad) > 0 || !proto.Equal(movies[1], hostile()) {
			t.Errorf("%s with CR LF: %v, %q, %v", format, movies, bad, err)
		}
	}
}

// TestMoviesReadBack: whatever texts a movie has, both formats read back what they wrote.
func TestMoviesReadBack(t *testing.T) {
	text := func(t *rapid.T, name string, least int) string {
		// Mostly what has a meaning in one of the formats.
		return rapid.StringOfN(rapid.OneOf(rapid.SampledFrom([]rune("\"\"\\|,\n\t =;'{}[]:\u2028é映🎬")), rapid.Rune()), least, 12, -1).
			Filter(func(s string) bool { return !strings.ContainsAny(s, "\r\uFFFD") }).Draw(t, name)
	}
	rapid.Check(t, func(t *rapid.T) {
		m := &metadatav1.Movie{
			Id: text(t, "id", 1), Title: text(t, "title", 1), OriginalTitle: text(t, "original", 0), Director: text(t, "director", 0),
			Description: text(t, "description", 0),
		}
		for range rapid.IntRange(0, 3).Draw(t, "titles") {
			m.AlternativeTitles = append(m.AlternativeTitles, text(t, "alternative", 1))
		}
		for range rapid.IntRange(0, 2).Draw(t, "genres") {
			m.Genres = append(m.Genres, text(t, "genre", 1))
		}
		if rapid.Bool().Draw(t, "known year") {
			m.Year = proto.Int32(rapid.Int32().Draw(t, "year"))
		}
		if imdb := text(t, "imdb", 0); imdb != "" {
			m.ExternalIds = &metadatav1.ExternalIds{Imdb: imdb}
		}
		for _, format := range []formats.Format{formats.CSV, formats.JSONL} {
			var b bytes.Buffer
			w := formats.NewMovieWriter(&b, format)
			if err := errors.Join(w.Write(m), w.Write(m), w.Flush()); err != nil {
				t.Fatal(err)
			}
			n := 0
			for row, err := range formats.ReadMovies("f", &b, format, true) {
				if err != nil {
					t.Fatalf("%s: %v", format, err)
				}
				if !proto.Equal(row.Movie, m) {
					t.Fatalf("%s: read %v, want %v", format, row.Movie, m)
				}
				n++
			}
			if n != 2 {
				t.Fatalf("%s: %d movies came back, want 2", format, n)
			}
		}
	})
}

// TestMoviesRejected: each row is rejected for its own reason, and those behind it are read.
func TestMoviesRejected(t *testing.T) {
	const header = "title,id,year,genres\n"
	movies, bad, err := readMovies(t, header+
		"A,a,1999,Drama\n"+
		"B,b\n"+
		"C,c,19.5,\n"+
		"D,d,,a\\b\n"+
		"E\"E,e,,\n"+
		"\"F,f,,\n"+
		"G,g,,\n"+
		"\n"+
		"H\xff,h,,\n"+
		"\"I\"i,i,,\n"+
		"\"J\nj\",j,,\n"+
		strings.Repeat("x", 1<<20)+",k,,\n"+
		"L,l,,", formats.CSV, false)
	if err != nil {
		t.Fatal(err)
	}
	want := []string{
		`f line 3: has 2 fields; the first line names 4 columns`,
		`f line 6: has a quote that neither begins nor ends a field; put the field in quotes and double the quotes in it: "a ""b"" c"`,
		`f line 7: has a quote that neither begins nor ends a field; put the field in quotes and double the quotes in it: "a ""b"" c"`,
		`f line 10: is not valid UTF-8; convert the file to UTF-8`,
		`f line 11: has a quote that neither begins nor ends a field; put the field in quotes and double the quotes in it: "a ""b"" c"`,
		`f line 14: the line is longer than 1048576 bytes, more than any row of this format`,
	}
	if diff := cmp.Diff(want, bad); diff != "" {
		t.Errorf("rejected (-want +got):\n%s", diff)
	}
	var titles []string
	for _, m := range movies {
		titles = append(titles, m.GetTitle())
	}
	if diff := cmp.Diff([]string{"A", "C", "D", "G", "J\nj", "L"}, titles); diff != "" {
		t.Errorf("read (-want +got):\n%s", diff)
	}

	movies, bad, err = readMovies(t, `{"id":"a","title":"A","etag":"x","createTime":"2026-01-01T00:00:00Z"}
{"id":"b","title":"B","year":"1999"}
{"id":"c","titel":"C"}
["d"]
{"id":"e","title":"E"
{"id":"f","title":"F"} {}
{"id":"g","title":"G","externalIds":{"imdb":5}}

nothing
{"id":"h`+"\xff"+`","title":"H"}
{"id":"i","title":"I","year":1e3}
{"id":"j","title":"J","genres":"Drama"}
{"id":"k","title":"K"}`, formats.JSONL, true)
	if err != nil {
		t.Fatal(err)
	}
	want = []string{
		`f line 3: "c": titel: is unknown; the fields are id, title, originalTitle, alternativeTitles, year, genres, director, description, runtimeMinutes and externalIds`,
		`f line 4: must be a JSON object, got an array`,
		`f line 5: must be valid JSON: it ends at byte 21 where a comma or a closing brace should be`,
		`f line 6: must be one JSON object and nothing behind it, got "{}" at byte 24`,
		`f line 9: must be a JSON object, got "nothing"`,
		`f line 10: must be valid UTF-8`,
	}
	if diff := cmp.Diff(want, bad); diff != "" {
		t.Errorf("rejected (-want +got):\n%s", diff)
	}
	if len(movies) != 6 || movies[5].GetId() != "k" {
		t.Errorf("read %v, want a, b, g, i, j and k", movies)
	}
}

// TestOptionalFieldsCostOnlyThemselves: a value that cannot be read leaves the rest of its row alone, and is told with its field.
func TestOptionalFieldsCostOnlyThemselves(t *testing.T) {
	left := func(file string, format formats.Format) (movies []*metadatav1.Movie, reasons []string) {
		for row, err := range formats.ReadMovies("f", strings.NewReader(file), format, false) {
			if err != nil {
				t.Error(err)
				continue
			}
			movies = append(movies, row.Movie)
			for _, l := range row.Left {
				reasons = append(reasons, l.Field+" | "+l.Reason)
			}
		}
		return movies, reasons
	}
	ids := func(tmdb, movielens string) *metadatav1.ExternalIds {
		return &metadatav1.ExternalIds{Imdb: "tt0000001", Tmdb: tmdb, Movielens: movielens}
	}
	movies, reasons := left("id,title,year,genres,alternativeTitles,runtimeMinutes,imdb,tmdb,movielens\n"+
		"a,A,2001.0,Drama,,101.00,tt0000001,862.0,1.0\n"+
		"b,B,2001.5,Drama|a\\b,x\\,1E+02,tt0000001,862,1\n", formats.CSV)
	want := []*metadatav1.Movie{
		{Id: "a", Title: "A", Year: proto.Int32(2001), Genres: []string{"Drama"}, RuntimeMinutes: proto.Int32(101), ExternalIds: ids("862", "1")},
		{Id: "b", Title: "B", ExternalIds: ids("862", "1")},
	}
	if diff := cmp.Diff(want, movies, protocmp.Transform()); diff != "" {
		t.Errorf("CSV (-want +got):\n%s", diff)
	}
	const backslash = ` has a backslash that is not before a "|" or another backslash; write \\ for one`
	wantReasons := []string{
		"alternative_titles | alternativeTitles:" + backslash, "genres | genres:" + backslash,
		`year | year: must be a whole number, or empty if unknown, got "2001.5"`,
		`runtime_minutes | runtimeMinutes: must be a whole number, or empty if unknown, got "1E+02"`,
	}
	if diff := cmp.Diff(wantReasons, reasons); diff != "" {
		t.Errorf("CSV, left out (-want +got):\n%s", diff)
	}
	movies, reasons = left(`{"id":"a","title":"A","year":2001.0,"runtimeMinutes":1.01e2,"ratingStatus":5}
{"id":"b","title":"B","year":"2001","genres":["Drama",5],"director":["Ann"],"externalIds":{"imdb":"tt0000001","tmdb":862,"movielens":"1"}}
{"id":"c","title":"C","externalIds":"tt0000001","description":"\ud800"}`, formats.JSONL)
	want = []*metadatav1.Movie{
		{Id: "a", Title: "A", Year: proto.Int32(2001), RuntimeMinutes: proto.Int32(101)},
		{Id: "b", Title: "B", ExternalIds: ids("", "1")},
		{Id: "c", Title: "C"},
	}
	if diff := cmp.Diff(want, movies, protocmp.Transform()); diff != "" {
		t.Errorf("JSON lines (-want +got):\n%s", diff)
	}
	const object = "externalIds: must be an object, got the text \"tt0000001\""
	wantReasons = []string{
		`year | year: must be a whole number without quotes, got the text "2001"`,
		`genres | genres[1]: must be text in quotes, got the number 5`,
		`director | director: must be text in quotes, got an array`,
		`external_ids.tmdb | externalIds.tmdb: must be text in quotes, got the number 862`,
		"external_ids.imdb | " + object, "external_ids.tmdb | " + object, "external_ids.movielens | " + object,
		`description | description: must be valid Unicode, got half of a surrogate pair in "\ud800"`,
	}
	if diff := cmp.Diff(wantReasons, reasons); diff != "" {
		t.Errorf("JSON lines, left out (-want +got):\n%s", diff)
	}

	var rated []events.Event
	for row, err := range formats.ReadRatings("f", strings.NewReader("recordType,recordId,userId,value,ratedAt,providerId\nmovie,r,u,8.0,2026-01-01T00:00:00z,a\tb\n"), formats.CSV) {
		if err != nil || len(row.Left) != 1 || row.Left[0].Field != "provider_id" || !strings.HasPrefix(row.Left[0].Reason, "providerId: must not contain control characters") {
			t.Errorf("%+v, error %v", row, err)
		}
		rated = append(rated, row.Event)
	}
	if want := (events.Event{RecordType: "movie", RecordID: "r", UserID: "u", Value: 8, RatedAt: time.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC)}); len(rated) != 1 || rated[0] != want {
		t.Errorf("read %+v, want %+v", rated, want)
	}
}

// TestUnclosedQuote: one quote that is not closed takes no more than its own row, wherever the file ends, and the lines behind it
// keep their numbers.
func TestUnclosedQuote(t *testing.T) {
	rows := strings.Repeat("X,x\n", 400_000) // more than is searched for the quote's end
	for name, behind := range map[string]string{"far from the end": rows, "at the end": "Y,y\nZ,z\n", "before a long line": strings.Repeat("x", 1<<20) + "\nY,y\n"} {
		movies, bad, err := readMovies(t, "title,id\nA,a\n\"B,b\n"+behind+"C\"c,c\n", formats.CSV, false)
		if err != nil {
			t.Fatal(err)
		}
		lines := strings.Count(behind, "\n")
		if len(bad) < 1 || !strings.HasPrefix(bad[0], "f line 3: ") || len(movies) != 1+strings.Count(behind, ",") {
			t.Errorf("%s: %d movies, rejected %.300q", name, len(movies), bad)
		}
		if last := bad[len(bad)-1]; !strings.HasPrefix(last, "f line "+itoa(lines+4)+": has a quote") && !strings.HasPrefix(last, "f line "+itoa(lines+4)+": a quoted") {
			t.Errorf("%s: the last row is called %.300q, want line %d", name, last, lines+4)
		}
	}
}

func itoa(n int) string {
	var b []byte
	for ; n > 0; n /= 10 {
		b = append([]byte{byte('0' + n%10)}, b...)
	}
	return string(b)
}

func TestHeaders(t *testing.T) {
	for text, want := range map[string]string{
		"id,titel\n":          `read f: there is no column "titel"; the first line names the columns, which are id,title,`,
		"id,title,id\n":       `read f: the column id occurs twice`,
		"id,year\n":           `read f: the column title is missing; needed are id,title`,
		"\"id,title\nx,y\n":   `read f: the first line must name the columns id,title,`,
		"{\"id\":\"x\"}\n":    `read f: the first line must name the columns`,
		"a;b\nid,title\n":     `read f: there is no column "a;b"`,
		" id , title \nx,X\n": "",
		"":                    `read f: the file is empty; its first line must name the columns, which are id,title,`,
		"\n\n":                `read f: the file is empty; its first line must name the columns`,
		"id,title":            "",
	} {
		_, bad, err := readMovies(t, text, formats.CSV, false)
		if (err == nil) != (want == "") || err != nil && !strings.Contains(err.Error(), want) || len(bad) > 0 {
			t.Errorf("%q: %v, rejected %q; want %s", text, err, bad, want)
		}
	}
	if _, _, err := readMovies(t, "id,title\n", formats.CSV, true); err == nil || !strings.Contains(err.Error(), "the columns originalTitle, alternativeTitles, year, genres, director, description, runtimeMinutes, imdb, tmdb, movielens are missing") {
		t.Errorf("a file that replaces must be whole, got %v", err)
	}
}

func TestRatings(t *testing.T) {
	put := events.Event{RecordType: "movie", RecordID: `a,"b`, UserID: "=u|\\", Value: 10, RatedAt: time.Date(2026, 2, 3, 4, 5, 6, 7000, time.UTC)}
	whole := events.Event{RecordType: "book", RecordID: "r", UserID: "🎬", Value: 1, RatedAt: time.Unix(0, 0).UTC()}
	for format, want := range map[formats.Format]string{
		formats.CSV: "recordType,recordId,userId,value,ratedAt\nmovie,\"a,\"\"b\",=u|\\,10,2026-02-03T04:05:06.000007Z\nbook,r,🎬,1,1970-01-01T00:00:00Z\n",
		formats.JSONL: `{"userId":"=u|\\","recordId":"a,\"b","recordType":"movie","value":10,"eventType":"put","ratedAt":"2026-02-03T04:05:06.000007Z"}` + "\n" +
			`{"userId":"🎬","recordId":"r","recordType":"book","value":1,"eventType":"put","ratedAt":"1970-01-01T00:00:00Z"}` + "\n",
	} {
		var b bytes.Buffer
		w := formats.NewRatingWriter(&b, format)
		if err := errors.Join(w.Write(&put), w.Write(&whole), w.Flush()); err != nil {
			t.Fatal(err)
		}
		if diff := cmp.Diff(want, b.String()); diff != "" {
			t.Errorf("%s (-want +got):\n%s", format, diff)
		}
		got, bad, err := readRatings(b.String(), format)
		if err != nil || len(bad) > 0 {
			t.Errorf("%s: %q, %v", format, bad, err)
		}
		if diff := cmp.Diff([]events.Event{put, whole}, got); diff != "" {
			t.Errorf("%s, read back (-want +got):\n%s", format, diff)
		}
	}
	const header = "recordType,recordId,userId,value,ratedAt,providerId\n"
	got, bad, err := readRatings(header+
		"movie,r,u,11,2026-01-01T00:00:00Z,\n"+
		"movie,r,u,4.5,2026-01-01T00:00:00Z,\n"+
		"movie,r,u,5,,\n"+
		"movie,r,u,5,0001-01-01T00:00:00Z,\n"+
		"movie,,u,5,2026-01-01T00:00:00Z,\n"+
		"movie,r,u,5\n"+
		"movie,r,u,5,2026-01-01T02:00:00.1234567+02:00,mine\n", formats.CSV)
	want := []string{
		`f line 2: value: must be a whole number from 1 to 10, got "11"`,
		`f line 3: value: must be a whole number from 1 to 10, got "4.5"`,
		`f line 4: ratedAt: must be an RFC 3339 time with zone, for example "2024-05-01T18:30:00Z", got ""`,
		`f line 5: ratedAt: must be in the years 1970 to 9999`,
		`f line 6: recordId: is required: 1 to 128 bytes`,
		`f line 7: has 4 fields; the first line names 6 columns`,
	}
	if diff := cmp.Diff(want, bad); diff != "" || err != nil {
		t.Errorf("rejected (-want +got), error %v:\n%s", err, diff)
	}
	ok := events.Event{RecordType: "movie", RecordID: "r", UserID: "u", Value: 5, ProviderID: "mine", RatedAt: time.Date(2026, 1, 1, 0, 0, 0, 123456000, time.UTC)}
	if diff := cmp.Diff([]events.Event{ok}, got); diff != "" {
		t.Errorf("read (-want +got):\n%s", diff)
	}
	_, bad, err = readRatings(`[{"userId":"u","recordId":"r","recordType":"movie","value":7},`+"\n"+`{"value":7}]`, formats.JSONL)
	if err != nil || len(bad) != 2 || !strings.HasPrefix(bad[0], "f line 1: ratedAt: is required, or a repeated import would rate again") || bad[1] != "f line 2: userId: is required: 1 to 128 bytes" {
		t.Errorf("rejected %q, error %v", bad, err)
	}
}

func readRatings(text string, f formats.Format) (got []events.Event, bad []string, err error) {
	for row, err := range formats.ReadRatings("f", strings.NewReader(text), f) {
		if r := (*formats.RowError)(nil); errors.As(err, &r) {
			bad = append(bad, r.Error())
			continue
		}
		if err != nil {
			return got, bad, err
		}
		got = append(got, row.Event)
	}
	return got, bad, nil
}

func TestSniff(t *testing.T) {
	for text, want := range map[string]formats.Format{
		"id,title\n": formats.CSV, "\xef\xbb\xbfid": formats.CSV, " \n {": formats.JSONL, "[": formats.JSONL, "": formats.JSONL, "\n": formats.JSONL, `"id"`: formats.CSV,
	} {
		got, r, err := formats.Sniff(strings.NewReader(text))
		if err != nil || got != want {
			t.Errorf("%q is %s, error %v; want %s", text, got, err, want)
			continue
		}
		var all bytes.Buffer
		if _, err := all.ReadFrom(r); err != nil || all.String() != text {
			t.Errorf("%q became %q, error %v", text, all.String(), err)
		}
	}
	for name, want := range map[string]formats.Format{"a.csv": formats.CSV, "a.CSV": formats.CSV, "a.jsonl": formats.JSONL, "a.txt": "", "csv": ""} {
		if got, ok := formats.Named(name); got != want || ok != (want != "") {
			t.Errorf("%s is %q, %v", name, got, ok)
		}
	}
}
