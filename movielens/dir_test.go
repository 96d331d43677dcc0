package movielens_test

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"movieexample.com/movielens"
)

func dataSet(t *testing.T, files map[string]string) string {
	t.Helper()
	dir := t.TempDir()
	for name, text := range files {
		if err := os.WriteFile(filepath.Join(dir, name), []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	return dir
}

func smallSet() map[string]string {
	return map[string]string{
		"movies.csv":  moviesHead + "3,Third (1993),Drama\n1,First (1991),Drama\n2,Second (1992),Drama\n",
		"links.csv":   linksHead + "1,0000001,11\n3,,33\n9,0000009,99\n",
		"ratings.csv": ratingsHead + "1,1,4.0,1\n1,3,5.0,2\n",
	}
}

func open(t *testing.T, files map[string]string) *movielens.Dir {
	t.Helper()
	d, err := movielens.Open(dataSet(t, files))
	if err != nil {
		t.Fatal(err)
	}
	return d
}

func TestOpen(t *testing.T) {
	dir := dataSet(t, smallSet())
	link := filepath.Join(t.TempDir(), "link")
	if err := os.Symlink(dir, link); err != nil {
		t.Fatal(err)
	}
	d, err := movielens.Open(link)
	if err != nil {
		t.Fatal(err)
	}
	if d.Path() != link {
		t.Errorf("Path is %q", d.Path())
	}
	for f, text := range smallSet() {
		if got := d.Size(movielens.File(f)); got != int64(len(text)) {
			t.Errorf("%s has size %d, want %d", f, got, len(text))
		}
	}
	for range 2 { // streams can be taken again
		n := 0
		for _, err := range d.Ratings(t.Context()) {
			if err != nil {
				t.Fatal(err)
			}
			n++
			done := d.Done(movielens.RatingsFile)
			if want := int64(len(ratingsHead) + n*len("1,1,4.0,1\n")); done != want {
				t.Errorf("after %d rows %d bytes are done, want %d", n, done, want)
			}
		}
		if n != 2 || d.Done(movielens.RatingsFile) != d.Size(movielens.RatingsFile) {
			t.Errorf("%d rows, %d bytes done", n, d.Done(movielens.RatingsFile))
		}
	}
}

func TestOpenSaysWhatIsMissing(t *testing.T) {
	partial := smallSet()
	delete(partial, "links.csv")
	delete(partial, "movies.csv")
	outer := t.TempDir()
	inner := filepath.Join(outer, "ml-small")
	if err := os.Rename(dataSet(t, smallSet()), inner); err != nil {
		t.Fatal(err)
	}
	odd := dataSet(t, partial)
	if err := os.Mkdir(filepath.Join(odd, "movies.csv"), 0o700); err != nil {
		t.Fatal(err)
	}
	archive := filepath.Join(dataSet(t, map[string]string{"ml.zip": "PK"}), "ml.zip")
	for _, test := range []struct{ path, want string }{
		{dataSet(t, partial), "has no movies.csv, no links.csv"},
		{dataSet(t, nil), "has no movies.csv, no links.csv, no ratings.csv"},
		{outer, "has no movies.csv, no links.csv, no ratings.csv; did you mean " + inner + "?"},
		{filepath.Join(outer, "nowhere"), "no such file or directory"},
		{filepath.Join(inner, "ratings.csv"), "is not a directory; name the directory that movies.csv, links.csv and ratings.csv are in"},
		{archive, "is not a directory; unpack it, and name the directory it was unpacked to"},
		{odd, "movies.csv is a directory; it must be a file"},
	} {
		_, err := movielens.Open(test.path)
		if err == nil || !strings.HasPrefix(err.Error(), "open MovieLens data set: ") || !strings.Contains(err.Error(), test.path) || !strings.HasSuffix(err.Error(), test.want) {
			t.Errorf("Open(%s): %v\nwant … %s", test.path, err, test.want)
		}
	}
}

// TestOpenChecksEveryHeader: Open checks the ratings, too, so that an import does not fail after the films.
func TestOpenChecksEveryHeader(t *testing.T) {
	for file, header := range map[string]string{
		"movies.csv": "movieId,title,genres", "links.csv": "movieId,imdbId,tmdbId", "ratings.csv": "userId,movieId,rating,timestamp",
	} {
		set := smallSet()
		set[file] = "a,b\n1,2\n"
		dir := dataSet(t, set)
		_, err := movielens.Open(dir)
		want := "open MovieLens data set: read " + filepath.Join(dir, file) + `: the columns are "a,b"; they must be ` + header
		if err == nil || err.Error() != want {
			t.Errorf("error %v\nwant %s", err, want)
		}
	}
}

func TestFileGoneAfterOpen(t *testing.T) {
	dir := dataSet(t, smallSet())
	d, err := movielens.Open(dir)
	if err != nil {
		t.Fatal(err)
	}
	if err := os.Remove(filepath.Join(dir, "links.csv")); err != nil {
		t.Fatal(err)
	}
	films, rejects, err := collect(d.Catalogue(t.Context()))
	if err == nil || !strings.Contains(err.Error(), "links.csv: no such file") || len(films)+len(rejects) > 0 {
		t.Errorf("got %v, %v, error %v", films, rejects, err)
	}
}

func film(line int, id int64, title string, year int, imdb, tmdb string) movielens.Film {
	return movielens.Film{Movie: movielens.Movie{Line: line, ID: id, Title: title, Year: year, Genres: []string{"Drama"}}, IMDb: imdb, TMDB: tmdb}
}

func TestCatalogue(t *testing.T) {
	// Neither file is in order, one link has no movie and one movie no link.
	films, rejects, err := collect(open(t, smallSet()).Catalogue(t.Context()))
	if err != nil || len(rejects) > 0 {
		t.Fatalf("rejects %q, error %v", rejects, err)
	}
	want := []movielens.Film{
		film(2, 3, "Third", 1993, "", "33"),
		film(3, 1, "First", 1991, "tt0000001", "11"),
		film(4, 2, "Second", 1992, "", ""),
	}
	if diff := cmp.Diff(want, films); diff != "" {
		t.Errorf("- want + got:\n%s", diff)
	}
	for i, id := range []string{"ml-3", "tt0000001", "ml-2"} {
		if got := films[i].ImportID(); got != id {
			t.Errorf("film %d is imported as %q, want %q", films[i].ID, got, id)
		}
	}
}

func TestCatalogueKeepsIDsUnique(t *testing.T) {
	set := smallSet()
	set["links.csv"] = linksHead + "1,0000001,11\n1,0000002,12\n2,0000001,13\n3,bad,14\n"
	set["movies.csv"] += "x,Bad (1999),Drama\n"
	films, rejects, err := collect(open(t, set).Catalogue(t.Context()))
	if err != nil {
		t.Fatal(err)
	}
	wantRejects := []string{
		`links.csv line 3: movieId "1": has a link in an earlier row; the first one counts`,
		`links.csv line 4: imdbId "0000001": is the id of movieId 1 in an earlier row; an IMDb id belongs to one film only`,
		`links.csv line 5: imdbId "bad": must be the 1 to 10 digits of an IMDb id, as 0114709, or empty; the row went in without it`,
		`movies.csv line 5: movieId "x": must be a whole number of at least 1`,
	}
	if diff := cmp.Diff(wantRejects, rejects); diff != "" {
		t.Errorf("rejects, - want + got:\n%s", diff)
	}
	want := []movielens.Film{film(2, 3, "Third", 1993, "", "14"), film(3, 1, "First", 1991, "tt0000001", "11"), film(4, 2, "Second", 1992, "", "")}
	if diff := cmp.Diff(want, films); diff != "" {
		t.Errorf("- want + got:\n%s", diff)
	}
}

func TestCatalogueStops(t *testing.T) {
	set := smallSet()
	d := open(t, set)
	if err := os.WriteFile(filepath.Join(d.Path(), "movies.csv"), []byte("wrong\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	films, _, err := collect(d.Catalogue(t.Context()))
	if err == nil || !strings.Contains(err.Error(), "movies.csv: the columns are") || len(films) > 0 {
		t.Errorf("wrong movies.csv: %v, %v", films, err)
	}
	set["links.csv"] = linksHead + "bad\nbad\n"
	for range open(t, set).Catalogue(t.Context()) {
		break // must not yield any more
	}
}
