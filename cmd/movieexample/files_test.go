package main

import (
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"movieexample.com/client"
)

// imdbFiles are IMDb's files as they are checked in.
const imdbFiles = "../../imdb/testdata"

// untimed replaces how long something took.
func untimed(o outcome) outcome {
	o.stdout = regexp.MustCompile(`(?m)^took .*$`).ReplaceAllString(o.stdout, "took …")
	o.stdout = regexp.MustCompile(`, \d+\.\d s\n`).ReplaceAllString(o.stdout, ", …\n")
	return o
}

func TestImportIMDbCommand(t *testing.T) {
	r := startSystem(t)
	const rows = `rows      56 in name.basics.tsv
rows      79 in title.akas.tsv
rows      24 in title.basics.tsv
rows      18 in title.crew.tsv
left out  2 titles that are no films, 1 adult title
`
	rejects := filepath.Join(t.TempDir(), "rejects.txt")
	untimed(r.run(t, "import", "imdb", imdbFiles, "--rejects", rejects)).want(t, exitRefused, rows+`films     15 read: 15 created, 0 updated, 0 unchanged
directors 2 directors are without a name
rejected  14 rows
noted     6 rows
took …
`,
		"rejected: title.basics.tsv line 16: isAdult \"1992\": must be 0 or 1\n",
		"note: title.basics.tsv line 25: tconst \"tt5174640\": startYear 2115 is not between 1870 and 2100; the film went in without a year\n")
	if text, err := os.ReadFile(rejects); err != nil || strings.Count(string(text), "\n") != 14 {
		t.Errorf("file of rejects: %q, error %v", text, err)
	}
	untimed(r.run(t, "import", "imdb", imdbFiles)).want(t, exitRefused, rows+`films     15 read: 0 created, 0 updated, 15 unchanged
directors 2 directors are without a name
rejected  14 rows
noted     6 rows
took …
Nothing changed: 15 films were there already. This does not include the 20 rows that were rejected or noted above.
`, "rejected: ")

	good := t.TempDir()
	write(t, filepath.Join(good, "title.basics.tsv"), "tconst\ttitleType\tprimaryTitle\toriginalTitle\tisAdult\tstartYear\truntimeMinutes\tgenres\n"+
		"tt0000001\tmovie\tOne\tOne\t0\t1999\t90\tDrama\n")
	o := r.run(t, "import", "imdb", good, "-o", "json")
	var s client.IMDbSummary
	if err := json.Unmarshal([]byte(o.stdout), &s); err != nil || o.code != exitOK || s.Films.Created != 1 || s.Rows["title.basics.tsv"] != 1 {
		t.Errorf("%+v, %v", o, err)
	}
	if want := "note: " + good + " has no title.crew.tsv.gz and no name.basics.tsv.gz: films go in without directors\nnote: " + good + " has no title.akas.tsv.gz: films go in without alternative titles\n"; o.stderr != want {
		t.Errorf("standard error %q, want %q", o.stderr, want)
	}
}

// TestImportSaysOnlyWhatIsTrue: of a file without rows, and of rows that did not go in, nothing good is said.
func TestImportSaysOnlyWhatIsTrue(t *testing.T) {
	r, dir := startSystem(t), t.TempDir()
	file := func(name, text string) string { return write(t, filepath.Join(dir, name), text) }
	const header = "id,title,originalTitle,alternativeTitles,year,genres,director,description,runtimeMinutes,imdb,tmdb,movielens\n"
	empty := file("empty.csv", "")
	for _, args := range [][]string{{"movies", empty}, {"movies", "--mode", "fill", empty}, {"ratings", empty}} {
		o := r.run(t, append([]string{"import"}, args...)...)
		if o.code != exitFailed || o.stdout != "" || !strings.Contains(o.stderr, "empty.csv: the file is empty; its first line must name the columns") {
			t.Errorf("import %v: %+v", args, o)
		}
	}
	const none = "films     0 read: 0 created, 0 updated, 0 unchanged\nrejected  %d rows\ntook …\n"
	untimed(r.run(t, "import", "movies", file("header.csv", header))).want(t, exitOK, fmt.Sprintf(none, 0)+"Nothing changed: the file has no rows.\n")
	untimed(r.run(t, "import", "movies", file("empty.jsonl", ""))).want(t, exitOK, fmt.Sprintf(none, 0)+"Nothing changed: the file has no rows.\n")
	untimed(r.run(t, "import", "movies", file("rejected.jsonl", "a\nb\n"))).want(t, exitRefused, fmt.Sprintf(none, 2)+"Nothing changed: no row went in.\n", "rejected: ")
	untimed(r.run(t, "import", "movies", file("invisible.jsonl", `{"id":"rx-5","title":"\u200b"}`))).want(t, exitRefused,
		"films     1 read: 0 created, 0 updated, 0 unchanged, 1 refused\nrejected  1 row\ntook …\nNothing changed: no row went in.\n", "title: is required: 1 to 500 characters, got only characters that do not show")
	floats := file("floats.csv", header+"cx-1,Harbour of Glass,,,2001.0,Drama,Ana,,101.0,,862.0,1.0\n")
	untimed(r.run(t, "import", "movies", "--mode", "fill", floats)).want(t, exitOK, "films     1 read: 1 created, 0 updated, 0 unchanged\nrejected  0 rows\ntook …\n")
	untimed(r.run(t, "import", "movies", "--mode", "fill", file("partly.csv", header+"cx-1,Harbour of Glass,,,2001.5,,,,,,,\nx\n"))).want(t, exitRefused,
		"films     1 read: 0 created, 0 updated, 1 unchanged\nrejected  1 row\nnoted     1 row\ntook …\n"+
			"Nothing changed: 1 film was there already. This does not include the 2 rows that were rejected or noted above.\n",
		`note: `+dir+`/partly.csv line 2: "cx-1": year: must be a whole number, or empty if unknown, got "2001.5"; the film went in without that`)
}

func TestGenerateIMDbCommand(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "imdb")
	args := []string{"generate", "imdb", "--titles", "1100", "--seed", "7", dir}
	movieexample(t.Context(), "", args...).want(t, exitOK, dir+": 1,100 titles including 70 films, 1,400 names, 3,930 other titles, seed 7\n")
	movieexample(t.Context(), "", args...).want(t, exitUsage, "", "title.basics.tsv.gz: file already exists: name another directory, or replace them with --force\n")
	o := movieexample(t.Context(), "", append(args, "--force", "--kept", "5", "-o", "json")...)
	if o.code != exitOK || !strings.Contains(o.stdout, `"films": 5,`) {
		t.Errorf("%+v", o)
	}
}

// TestExportAndImport takes everything out of one system and into another one.
func TestExportAndImport(t *testing.T) {
	r, dir := startSystem(t), t.TempDir()
	if o := r.run(t, "import", "movielens", dataSet(t, 0)); o.code != exitOK {
		t.Fatalf("%+v", o)
	}
	file := func(name string) string { return filepath.Join(dir, name) }
	content := func(name string) string {
		t.Helper()
		text, err := os.ReadFile(file(name))
		if err != nil {
			t.Fatal(err)
		}
		return string(text)
	}
	untimed(r.run(t, "export", "movies", file("movies.csv"))).want(t, exitOK, file("movies.csv")+": 2 movies, 194 bytes, …\n")
	const csv = "id,title,originalTitle,alternativeTitles,year,genres,director,description,runtimeMinutes,imdb,tmdb,movielens\n" +
		"ml-2,Emma,,,1996,Comedy,,,,,,2\ntt0133093,The Matrix,,,1999,Action,,,,tt0133093,603,1\n"
	if got := content("movies.csv"); got != csv {
		t.Errorf("movies.csv:\n%swant\n%s", got, csv)
	}
	// To standard output goes the data alone.
	o := r.run(t, "export", "ratings")
	if o.code != exitOK || strings.Count(o.stdout, "\n") != 2 || !strings.HasPrefix(o.stdout, `{"userId":"1","recordId":"ml-2",`) || !strings.HasPrefix(o.stderr, "standard output: 2 ratings, ") {
		t.Errorf("%+v", o)
	}
	write(t, file("ratings.jsonl"), o.stdout)
	if o := r.run(t, "export", "ratings", file("ratings.csv"), "-o", "json"); o.code != exitOK || !strings.Contains(o.stdout, `"rows": 2,`) {
		t.Errorf("%+v", o)
	}

	other := startSystem(t)
	untimed(other.run(t, "import", "movies", file("movies.csv"))).want(t, exitOK, "films     2 read: 2 created, 0 updated, 0 unchanged\nrejected  0 rows\ntook …\n")
	untimed(other.run(t, "import", "movies", file("movies.csv"))).want(t, exitOK, "films     2 read: 0 created, 0 updated, 2 unchanged\nrejected  0 rows\ntook …\nNothing changed: every movie was there as it is in the file.\n")
	untimed(other.run(t, "import", "ratings", file("ratings.jsonl"))).want(t, exitOK, `ratings   2 read, 2 published
rejected  0 rows
before    0 ratings of 0 films, sum 0, mean 0.0000000
after     2 ratings of 2 films, sum 15, mean 7.5000000
took …
`)
	for _, args := range [][]string{{"movies", "--format", "csv"}, {"movies"}, {"ratings", "--format", "csv"}, {"ratings"}} {
		a, b := r.run(t, append([]string{"export"}, args...)...), other.run(t, append([]string{"export"}, args...)...)
		if a.stdout != b.stdout || a.code+b.code != exitOK {
			t.Errorf("export %v: %+v and %+v", args, a, b)
		}
	}

	// Standard input tells its format by how it begins.
	for _, text := range []string{csv, other.run(t, "export", "movies").stdout} {
		o := movieexample(t.Context(), text, "import", "movies", "-", "--addresses", other.file)
		if o.code != exitOK || !strings.Contains(o.stdout, "2 unchanged") {
			t.Errorf("%+v", o)
		}
	}
	o = movieexample(t.Context(), "id,title\nx,X\ny\n", "import", "movies", "-", "--mode", "fill", "--addresses", other.file, "-o", "json")
	var s client.MoviesSummary
	if err := json.Unmarshal([]byte(o.stdout), &s); err != nil || o.code != exitRefused || s.Films.Created != 1 || s.Rejected != 1 {
		t.Errorf("%+v, %v", o, err)
	}
	if want := "rejected: standard input line 3: has 1 fields; the first line names 2 columns\n"; o.stderr != want {
		t.Errorf("standard error %q, want %q", o.stderr, want)
	}
}

// TestExportDestinations: a file has its name only when it is complete, and an error names the destination.
func TestExportDestinations(t *testing.T) {
	r, dir := startSystem(t), t.TempDir()
	if o := r.run(t, "import", "movielens", dataSet(t, 0)); o.code != exitOK {
		t.Fatalf("%+v", o)
	}
	old := write(t, filepath.Join(dir, "old.jsonl"), "old")
	link := filepath.Join(dir, "link.jsonl")
	if err := os.Symlink("old.jsonl", link); err != nil {
		t.Fatal(err)
	}
	if o := r.run(t, "export", "movies", link); o.code != exitOK {
		t.Errorf("%+v", o)
	}
	info, err := os.Lstat(link)
	if text, readErr := os.ReadFile(old); err != nil || readErr != nil || info.Mode()&os.ModeSymlink == 0 || strings.Count(string(text), "\n") != 2 {
		t.Errorf("the file behind the link: %q, %v, %v", text, err, readErr)
	}
	if info, err := os.Stat(old); err != nil || info.Mode().Perm() != 0o600 {
		t.Errorf("the file's mode changed: %v, %v", info.Mode(), err)
	}
	kept := write(t, filepath.Join(dir, "kept.jsonl"), "kept")
	if o := movieexample(t.Context(), "", "export", "movies", kept, "--metadata-addr", "127.0.0.1:1", "--wait", "0"); o.code != exitUnreachable {
		t.Errorf("%+v", o)
	}
	if text, err := os.ReadFile(kept); err != nil || string(text) != "kept" {
		t.Errorf("an export that failed left %q, %v", text, err)
	}
	if left, err := filepath.Glob(filepath.Join(dir, ".*")); err != nil || len(left) > 0 {
		t.Errorf("left behind: %v, %v", left, err)
	}
	if _, err := os.Stat("/dev/full"); err != nil {
		t.Logf("this system has no full disk to try: %v", err)
	} else {
		r.run(t, "export", "movies", "/dev/full").want(t, exitFailed, "", "movieexample: write to /dev/full: ", "no space left on device; the export is not complete\n")
	}

	// A pipe whose reader has gone, as in "export … | head -1".
	reader, writer, err := os.Pipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := reader.Close(); err != nil {
		t.Fatal(err)
	}
	cmd := prepare(os.Args[0], nil, "export", "movies", "--addresses", r.file)
	var stderr strings.Builder
	cmd.Stdout, cmd.Stderr = writer, &stderr
	_ = cmd.Run() // how it ended is asked of ProcessState
	if err := writer.Close(); err != nil {
		t.Error(err)
	}
	if cmd.ProcessState.ExitCode() != exitFailed || !strings.Contains(stderr.String(), "movieexample: write to standard output: the reader closed it before everything was written") {
		t.Errorf("ended with %s, standard error %q", cmd.ProcessState, &stderr)
	}
}
