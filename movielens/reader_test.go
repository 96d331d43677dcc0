package movielens_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"iter"
	"runtime"
	"strings"
	"testing"
	"testing/iotest"
	"time"

	"github.com/google/go-cmp/cmp"

	"movieexample.com/movielens"
)

const (
	moviesHead  = "movieId,title,genres\r\n"
	linksHead   = "movieId,imdbId,tmdbId\r\n"
	ratingsHead = "userId,movieId,rating,timestamp\r\n"
)

// collect reads a stream to its end.
func collect[T any](rows iter.Seq2[T, error]) (good []T, rejects []string, fatal error) {
	for row, err := range rows {
		var bad *movielens.RowError
		switch {
		case fatal != nil:
			panic("the stream continued after " + fatal.Error())
		case errors.As(err, &bad):
			rejects = append(rejects, bad.Error())
		case err != nil:
			fatal = err
		default:
			good = append(good, row)
		}
	}
	return good, rejects, fatal
}

func ratings(t *testing.T, file string) ([]movielens.Rating, []string, error) {
	return collect(movielens.ReadRatings(t.Context(), "dir/ratings.csv", strings.NewReader(file)))
}

func TestReadMovies(t *testing.T) {
	const file = "\xef\xbb\xbf" + moviesHead +
		"1,Plain Toys (1995),Adventure|Comedy\r\n" +
		"7,\"Harbor, The (Hafen, Der) (a.k.a. The Port) (2001)\",Drama|Drama| War |\r\n" +
		"9,\"\"\"Great\"\" Day (1950)\",(no genres listed)\r\n" +
		"12,No Year,\r\n" +
		"\r\n" +
		"13,\"Two\r\nLines (1990) \",Sci-Fi\n" +
		"14,Plain Toys (1995),IMAX" // same title and year, no line end
	got, rejects, err := collect(movielens.ReadMovies(t.Context(), "movies.csv", strings.NewReader(file)))
	if err != nil || len(rejects) > 0 {
		t.Fatalf("rejects %q, error %v", rejects, err)
	}
	want := []movielens.Movie{
		{Line: 2, ID: 1, Title: "Plain Toys", Year: 1995, Genres: []string{"Adventure", "Comedy"}},
		{Line: 3, ID: 7, Title: "The Harbor", OriginalTitle: "Der Hafen", AlternativeTitles: []string{"The Port"}, Year: 2001, Genres: []string{"Drama", "War"}},
		{Line: 4, ID: 9, Title: `"Great" Day`, Year: 1950},
		{Line: 5, ID: 12, Title: "No Year"},
		{Line: 7, ID: 13, Title: "Two Lines", Year: 1990, Genres: []string{"Sci-Fi"}},
		{Line: 9, ID: 14, Title: "Plain Toys", Year: 1995, Genres: []string{"IMAX"}},
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("- want + got:\n%s", diff)
	}
}

func TestReadLinks(t *testing.T) {
	const file = linksHead + "1,0114709,862\r\n2,0113497,\r\n3,,31357\r\n4,,\r\n5,12345678,5\r\n6,tt0000012,6\r\n7,00114710,007\r\n8.0,114711.0,862.0\r\n"
	got, rejects, err := collect(movielens.ReadLinks(t.Context(), "links.csv", strings.NewReader(file)))
	if err != nil || len(rejects) > 0 {
		t.Fatalf("rejects %q, error %v", rejects, err)
	}
	want := []movielens.Link{
		{MovieID: 1, IMDb: "tt0114709", TMDB: "862"},
		{MovieID: 2, IMDb: "tt0113497"},
		{MovieID: 3, TMDB: "31357"},
		{MovieID: 4},
		{MovieID: 5, IMDb: "tt12345678", TMDB: "5"},
		{MovieID: 6, IMDb: "tt0000012", TMDB: "6"},
		{MovieID: 7, IMDb: "tt0114710", TMDB: "7"},
		{MovieID: 8, IMDb: "tt0114711", TMDB: "862"},
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("- want + got:\n%s", diff)
	}
}

func TestReadRatings(t *testing.T) {
	stars := []string{"0.5", "1.0", "1.5", "2.0", "2.5", "3.0", "3.5", "4.0", "4.5", "5.0", "4", "5"}
	values := []int{1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 8, 10}
	file := ratingsHead
	var want []movielens.Rating
	for i, s := range stars {
		file += fmt.Sprintf("%d,%d,%s,%d\r\n", i+1, 100+i, s, 964982703+i)
		want = append(want, movielens.Rating{
			Line: i + 2, UserID: int64(i + 1), MovieID: int64(100 + i), Value: values[i],
			RatedAt: time.Date(2000, time.July, 30, 18, 45, 3+i, 0, time.UTC),
		})
	}
	// However the bytes arrive, the rows are the same.
	for name, src := range map[string]io.Reader{
		"at once":      strings.NewReader(file),
		"byte by byte": iotest.OneByteReader(strings.NewReader(file)),
		"end with row": iotest.DataErrReader(strings.NewReader(file)),
		"bare LF":      strings.NewReader(strings.ReplaceAll(file, "\r\n", "\n")),
		"no line end":  strings.NewReader(strings.TrimSuffix(file, "\r\n")),
		"with a BOM":   iotest.OneByteReader(strings.NewReader("\xef\xbb\xbf" + file)),
		"quoted":       strings.NewReader(strings.ReplaceAll(file, ",3.0,", `,"3.0",`)),
	} {
		t.Run(name, func(t *testing.T) {
			got, rejects, err := collect(movielens.ReadRatings(t.Context(), "ratings.csv", src))
			if err != nil || len(rejects) > 0 {
				t.Fatalf("rejects %q, error %v", rejects, err)
			}
			if diff := cmp.Diff(want, got); diff != "" {
				t.Errorf("- want + got:\n%s", diff)
			}
		})
	}
}

// TestRejects has one wrong row between two right ones. The message is what the
// user gets to see, so it is compared whole.
func TestRejects(t *testing.T) {
	const (
		idReason     = "must be a whole number of at least 1"
		starsReason  = "must be one of 0.5, 1.0, 1.5, 2.0, 2.5, 3.0, 3.5, 4.0, 4.5, 5.0"
		timeReason   = "must be whole seconds since 1970-01-01 UTC, from 0 to 253402300799"
		bareReason   = `has a quote inside an unquoted field; put the field in quotes and double the quotes in it: "a ""b"" c"`
		quotedReason = `has a quoted field that is not closed, or text behind its closing quote; close it and double the quotes in it: "a ""b"" c"`
	)
	for _, test := range []struct{ row, want string }{
		{",1,4.0,1", `userId "": ` + idReason},
		{"1,,4.0,1", `movieId "": ` + idReason},
		{"0,1,4.0,1", `userId "0": ` + idReason},
		{"-1,1,4.0,1", `userId "-1": ` + idReason},
		{"+1,1,4.0,1", `userId "+1": ` + idReason},
		{"1e3,1,4.0,1", `userId "1e3": ` + idReason},
		{"1.5,1,4.0,1", `userId "1.5": ` + idReason},
		{"bob,1,4.0,1", `userId "bob": ` + idReason},
		{"1,tt0114709,4.0,1", `movieId "tt0114709": ` + idReason},
		{"9223372036854775808,1,4.0,1", `userId "9223372036854775808": ` + idReason},
		{"1,1,0.0,1", `rating "0.0": ` + starsReason},
		{"1,1,0,1", `rating "0": ` + starsReason},
		{"1,1,5.5,1", `rating "5.5": ` + starsReason},
		{"1,1,6,1", `rating "6": ` + starsReason},
		{"1,1,10,1", `rating "10": ` + starsReason},
		{"1,1,3.7,1", `rating "3.7": ` + starsReason},
		{"1,1,-3.0,1", `rating "-3.0": ` + starsReason},
		{"1,1,NaN,1", `rating "NaN": ` + starsReason},
		{"1,1,,1", `rating "": ` + starsReason},
		{"1,1,4.0,", `timestamp "": ` + timeReason},
		{"1,1,4.0,-1", `timestamp "-1": ` + timeReason},
		{"1,1,4.0,1.5", `timestamp "1.5": ` + timeReason},
		{"1,1,4.0,2000-07-30", `timestamp "2000-07-30": ` + timeReason},
		{"1,1,4.0,253402300800", `timestamp "253402300800": ` + timeReason},
		{"1,1,4.0,99999999999999999999", `timestamp "99999999999999999999": ` + timeReason},
		{"1,1,4.0", `row "1,1,4.0": has 3 columns; must have 4: userId,movieId,rating,timestamp`},
		{"1,1,4.0,1,", `row "1,1,4.0,1,": has 5 columns; must have 4: userId,movieId,rating,timestamp`},
		{"1;1;4.0;1", `row "1;1;4.0;1": has 1 columns; must have 4: userId,movieId,rating,timestamp`},
		{" ", `row " ": has 1 columns; must have 4: userId,movieId,rating,timestamp`},
		{`1,1"2",4.0,1`, `row "1,1\"2\",4.0,1": ` + bareReason},
		{`1,"1"2,4.0,1`, `row "1,\"1\"2,4.0,1": ` + quotedReason},
		{`1,"1,4.0,1`, `row "1,\"1,4.0,1": ` + quotedReason},
		{"1,1,4.0\xff,1", "row \"1,1,4.0\uFFFD,1\": is not valid UTF-8; convert the file to UTF-8"},
		{strings.Repeat("9", 100) + ",1,4.0,1", `userId "` + strings.Repeat("9", 80) + `…": ` + idReason},
	} {
		t.Run(test.row, func(t *testing.T) {
			good, rejects, err := ratings(t, ratingsHead+"1,10,4.0,1\r\n"+test.row+"\r\n2,20,4.5,2\r\n3,30,5.0,3\r\n")
			if err != nil {
				t.Fatal(err)
			}
			if want := []string{"ratings.csv line 3: " + test.want}; !cmp.Equal(want, rejects) {
				t.Errorf("- want + got:\n%s", cmp.Diff(want, rejects))
			}
			if len(good) != 3 || good[0].MovieID != 10 || good[1].MovieID != 20 || good[2].MovieID != 30 {
				t.Errorf("the rows around it came out as %v", good)
			}
		})
	}
}

func TestRejectedMoviesAndLinks(t *testing.T) {
	_, rejects, err := collect(movielens.ReadMovies(t.Context(), "movies.csv", strings.NewReader(
		moviesHead+"x,A Film (1990),Drama\n2,  ,Drama\n3,Bell\a (1990),Drama\n4,Film (1990),Dra\x00ma\n5,One, Two (1990),Drama\n")))
	if err != nil {
		t.Fatal(err)
	}
	want := []string{
		`movies.csv line 2: movieId "x": must be a whole number of at least 1`,
		`movies.csv line 3: title "  ": is blank; a film needs a title`,
		`movies.csv line 4: title "Bell\a (1990)": has a control character at byte 4; only text is allowed`,
		`movies.csv line 5: genres "Dra\x00ma": has a control character at byte 3; only text is allowed; the row went in without it`,
		`movies.csv line 6: row "5,One, Two (1990),Drama": has 4 columns; must have 3: movieId,title,genres`,
	}
	if diff := cmp.Diff(want, rejects); diff != "" {
		t.Errorf("movies, - want + got:\n%s", diff)
	}
	links, rejects, err := collect(movielens.ReadLinks(t.Context(), "links.csv", strings.NewReader(
		linksHead+",1,1\n1,nm001,1\n1,0,1\n1,12345678901,1\n1,1,862.5\n1,1,-1\n1,x,8.62E+02\n")))
	if err != nil {
		t.Fatal(err)
	}
	const imdb, tmdb = "must be the 1 to 10 digits of an IMDb id, as 0114709, or empty; the row went in without it", "must be a whole number of 1 to 10 digits, as 862, or empty; the row went in without it"
	want = []string{
		`links.csv line 2: movieId "": must be a whole number of at least 1`,
		`links.csv line 3: imdbId "nm001": ` + imdb,
		`links.csv line 4: imdbId "0": ` + imdb,
		`links.csv line 5: imdbId "12345678901": ` + imdb,
		`links.csv line 6: tmdbId "862.5": ` + tmdb,
		`links.csv line 7: tmdbId "-1": ` + tmdb,
		`links.csv line 8: imdbId "x": ` + imdb,
		`links.csv line 8: tmdbId "8.62E+02": ` + tmdb,
	}
	wantLinks := []movielens.Link{{MovieID: 1, TMDB: "1"}, {MovieID: 1, TMDB: "1"}, {MovieID: 1, TMDB: "1"}, {MovieID: 1, IMDb: "tt0000001"}, {MovieID: 1, IMDb: "tt0000001"}, {MovieID: 1}}
	if diff := cmp.Diff(wantLinks, links); diff != "" {
		t.Errorf("links, - want + got:\n%s", diff)
	}
	if diff := cmp.Diff(want, rejects); diff != "" {
		t.Errorf("links, - want + got:\n%s", diff)
	}
}

// TestLineNumbers counts physical lines across blank lines and rows of several
// lines, which encoding/csv alone would not.
func TestLineNumbers(t *testing.T) {
	const file = moviesHead + // 1
		"\r\n" + // 2
		"1,\"Three\r\n\r\nLines\",Drama\r\n" + // 3–5
		"x,Bad (1990),Drama\r\n" + // 6
		"2,\"Two\nLines\" more,Drama\r\n" + // 7–8: broken in its second line
		"y,\"Bad\n\nToo\",Drama\r\n" + // 9–11
		"z,Bad Again,Drama\r\n" // 12
	good, rejects, err := collect(movielens.ReadMovies(t.Context(), "movies.csv", strings.NewReader(file)))
	if err != nil || len(good) != 1 {
		t.Fatalf("got %v, error %v", good, err)
	}
	var lines []int
	for _, r := range rejects {
		var line int
		if _, err := fmt.Sscanf(r, "movies.csv line %d:", &line); err != nil {
			t.Fatal(r, err)
		}
		lines = append(lines, line)
	}
	// Line 8 is read separately, because line 7 opens a quote that ends badly.
	if want := []int{6, 7, 8, 9, 12}; !cmp.Equal(want, lines) {
		t.Errorf("rejects on lines %v, want %v:\n%s", lines, want, strings.Join(rejects, "\n"))
	}
}

func TestUnclosedQuoteCostsOneRow(t *testing.T) {
	var file strings.Builder
	file.WriteString(ratingsHead + "1,\"1,4.0,1\r\n")
	const rest = 10_000 // far more than the longest row
	for i := range rest {
		fmt.Fprintf(&file, "1,%d,4.0,1\r\n", i+2)
	}
	good, rejects, err := ratings(t, file.String())
	if err != nil {
		t.Fatal(err)
	}
	if len(good) != rest || good[0].MovieID != 2 || good[rest-1].MovieID != rest+1 {
		t.Errorf("%d rows behind the broken one, want %d", len(good), rest)
	}
	want := []string{`ratings.csv line 2: row "1,\"1,4.0,1": ` +
		"a quoted field that starts in this row is not closed within 65536 bytes; close the quote"}
	if diff := cmp.Diff(want, rejects); diff != "" {
		t.Errorf("- want + got:\n%s", diff)
	}
}

// endless gives that many bytes of x, from its own buffer.
func endless(n int64) io.Reader { return io.LimitReader(fill('x'), n) }

type fill byte

func (f fill) Read(p []byte) (int, error) {
	for i := range p {
		p[i] = byte(f)
	}
	return len(p), nil
}

func TestLongRowsTakeConstantMemory(t *testing.T) {
	for name, start := range map[string]string{"long line": "1,", "long quoted field": `1,"`, "long quoted field behind a short line": "1,\"a\r\n"} {
		t.Run(name, func(t *testing.T) {
			src := io.MultiReader(strings.NewReader(ratingsHead+start), endless(64<<20), strings.NewReader("\r\n7,7,4.0,1\r\n"))
			var before, after runtime.MemStats
			runtime.ReadMemStats(&before)
			good, rejects, err := collect(movielens.ReadRatings(t.Context(), "ratings.csv", src))
			runtime.ReadMemStats(&after)
			if err != nil || len(good) != 1 || good[0].UserID != 7 {
				t.Fatalf("got %v, error %v", good, err)
			}
			if !strings.Contains(strings.Join(rejects, "\n"), "longer than 65536 bytes") {
				t.Errorf("rejects %q", rejects)
			}
			if used := after.TotalAlloc - before.TotalAlloc; used > 2<<20 {
				t.Errorf("allocated %d bytes for a row of 64 MiB", used)
			}
		})
	}
}

// TestLongestRow is the boundary of the limit: the row and its line end.
func TestLongestRow(t *testing.T) {
	row := func(n int) string {
		return "1," + strings.Repeat("x", n-len("1,")-len(",Drama\r\n")) + ",Drama\r\n"
	}
	for n, want := range map[int]int{65536: 1, 65537: 0} {
		good, rejects, err := collect(movielens.ReadMovies(t.Context(), "movies.csv", strings.NewReader(moviesHead+row(n))))
		if err != nil || len(good) != want || len(rejects) != 1-want {
			t.Errorf("row of %d bytes: %d rows, rejects %q, error %v", n, len(good), rejects, err)
		}
	}
}

func TestWrongFiles(t *testing.T) {
	const must = "userId,movieId,rating,timestamp"
	for _, test := range []struct{ name, file, want string }{
		{"empty", "", "read dir/ratings.csv: the file is empty; its first line must be " + must},
		{"only a BOM", "\xef\xbb\xbf", "read dir/ratings.csv: the file is empty; its first line must be " + must},
		{"no header", "1,1,4.0,1\n", `read dir/ratings.csv: the columns are "1,1,4.0,1"; they must be ` + must},
		{"another file", moviesHead, `read dir/ratings.csv: the columns are "movieId,title,genres"; they must be ` + must},
		{"another order", "movieId,userId,rating,timestamp\n", `read dir/ratings.csv: the columns are "movieId,userId,rating,timestamp"; they must be ` + must},
		{"old format", "1::122::5::838985046\n", `read dir/ratings.csv: the columns are "1::122::5::838985046"; they must be ` + must},
		{"a broken header", "userId,\"movieId,rating\n", `read dir/ratings.csv: line 1 is "userId,\"movieId,rating" and has a quoted field that is not closed, ` +
			`or text behind its closing quote; close it and double the quotes in it: "a ""b"" c"; it must be ` + must},
	} {
		t.Run(test.name, func(t *testing.T) {
			good, rejects, err := ratings(t, test.file)
			if err == nil || err.Error() != test.want || len(good)+len(rejects) > 0 {
				t.Errorf("got %v, rejects %q, error\n%v, want\n%s", good, rejects, err, test.want)
			}
		})
	}
	if good, rejects, err := ratings(t, ratingsHead); err != nil || len(good)+len(rejects) > 0 {
		t.Errorf("a header without rows: got %v, %q, %v", good, rejects, err)
	}
}

func TestReadErrorEndsTheStream(t *testing.T) {
	broken := errors.New("disk on fire")
	for _, behind := range []string{"", "userId,mov", ratingsHead, ratingsHead + "1,1,4.0,1\r\n", ratingsHead + "1,\"1"} {
		src := io.MultiReader(strings.NewReader(behind), iotest.ErrReader(broken))
		_, rejects, err := collect(movielens.ReadRatings(t.Context(), "ratings.csv", src))
		if !errors.Is(err, broken) || len(rejects) > 0 {
			t.Errorf("behind %q: rejects %q, error %v", behind, rejects, err)
		}
	}
}

func TestCancelledContextEndsTheStream(t *testing.T) {
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	file := ratingsHead + strings.Repeat("1,1,4.0,1\r\n", 10_000)
	n := 0
	var last error
	for _, err := range movielens.ReadRatings(ctx, "ratings.csv", strings.NewReader(file)) {
		if n++; n == 1000 {
			cancel()
		}
		last = err
	}
	if !errors.Is(last, context.Canceled) || n > 1500 {
		t.Errorf("ended after %d rows with %v", n, last)
	}
}

func TestStreamMayBeLeft(t *testing.T) {
	file := []byte(ratingsHead + "bad\n" + strings.Repeat("1,1,4.0,1\r\n", 10))
	for stop := range 12 {
		n := 0
		for range movielens.ReadRatings(t.Context(), "ratings.csv", bytes.NewReader(file)) {
			if n++; n > stop {
				break
			}
		}
		if want := min(stop+1, 11); n != want {
			t.Errorf("left after %d rows, want %d", n, want)
		}
	}
}
