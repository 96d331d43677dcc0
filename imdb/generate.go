package imdb

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io/fs"
	"math"
	"os"
	"path/filepath"
	"strconv"
	"sync/atomic"

	"github.com/klauspost/compress/gzip"
	"golang.org/x/sync/errgroup"
)

// GenerateOptions says what [Generate] shall make up.
type GenerateOptions struct {
	// Titles is the number of rows of title.basics and title.crew, from 1 to 1,000,000,000. IMDb has some 11 million.
	Titles int
	// Films is how many of them are films that a reader keeps; 0 means 7 of 110, as at IMDb.
	Films int
	// Seed decides everything that is made up.
	Seed uint64
	// Overwrite allows existing files to be replaced.
	Overwrite bool
	// Progress, if not nil, is called now and then with the number of rows written so
	// far and that of all, from several goroutines.
	Progress func(rows, all int64)
}

const maxTitles = 1_000_000_000

// Made-up ids are greater than this, for titles and names: more than any that
// IMDb has given in 2026, and than those that package movielens makes up.
const idFloor = 800_000_000

func (o GenerateOptions) films() int {
	if o.Films != 0 {
		return o.Films
	}
	return max(1, int(int64(o.Titles)*7/110))
}

// IMDb has 14 names and 40 other titles to 11 titles.
func (o GenerateOptions) names() int { return max(1, int(int64(o.Titles)*14/11)) }

// akas is how many other titles the title at i has: 3 or 4, and more if it is a film. Some films have a hundred.
func (o GenerateOptions) akas(i int) int {
	h := o.draw(i, forAkas)
	if !o.isFilm(i) {
		return 3 + int(h%2)
	}
	if h%200 == 0 {
		return 100
	}
	return 1 + int(h%9)
}

// Validate names the first option that is out of range, and what is allowed.
func (o GenerateOptions) Validate() error {
	if o.Titles < 1 || o.Titles > maxTitles {
		return fmt.Errorf("titles is %d; it must be from 1 to %d", o.Titles, maxTitles)
	}
	if o.Films < 0 || o.Films > o.Titles {
		return fmt.Errorf("films is %d; it must be at most %d, the number of titles", o.Films, o.Titles)
	}
	return nil
}

// Generated is what [Generate] has written.
type Generated struct {
	Titles, Films, Names, Akas int
}

// Rows is the number of rows of all files.
func (g Generated) Rows() int64 { return 2*int64(g.Titles) + int64(g.Names) + int64(g.Akas) }

// Generate writes made-up files in IMDb's form to dir, which it creates if needed: title.basics.tsv.gz,
// title.crew.tsv.gz, name.basics.tsv.gz and title.akas.tsv.gz. They are meant for scale tests: the numbers of rows
// have the proportions of IMDb's, films are spread evenly among the other titles, and a film has about as many directors
// and other titles as in IMDb. All ids are greater than 800,000,000, so that the files can be imported beside real
// ones.
//
// The same options give the same rows on every machine. Memory does not depend on the number of rows. All files
// are written under other names and renamed when they are complete, so an error leaves nothing behind. An existing
// file is an error that matches fs.ErrExist, unless Overwrite is set.
func Generate(ctx context.Context, dir string, o GenerateOptions) (Generated, error) {
	if err := o.Validate(); err != nil {
		return Generated{}, fmt.Errorf("generate IMDb files: %w", err)
	}
	made, err := generate(ctx, dir, o)
	if err != nil {
		return Generated{}, fmt.Errorf("generate IMDb files in %s: %w", dir, err)
	}
	return made, nil
}

func generate(ctx context.Context, dir string, o GenerateOptions) (made Generated, err error) {
	if !o.Overwrite {
		if err := refuseExisting(dir); err != nil {
			return made, err
		}
	}
	if err := os.MkdirAll(dir, 0o777); err != nil {
		return made, err
	}
	made = Generated{Titles: o.Titles, Films: o.films(), Names: o.names()}
	for i := range o.Titles {
		made.Akas += o.akas(i)
	}
	// Two at a time, the long one first.
	tasks, ctx := errgroup.WithContext(ctx)
	tasks.SetLimit(2)
	partial := make([]string, len(Files()))
	defer func() {
		for _, path := range partial {
			if path != "" {
				err = errors.Join(err, os.Remove(path))
			}
		}
	}()
	var rows atomic.Int64
	progress := func(n int) {
		if all := rows.Add(int64(n)); o.Progress != nil {
			o.Progress(all, made.Rows())
		}
	}
	for _, i := range []int{3, 0, 1, 2} {
		tasks.Go(func() (err error) {
			partial[i], err = writeFile(ctx, dir, Files()[i], o, progress)
			return err
		})
	}
	if err := tasks.Wait(); err != nil {
		return made, err
	}
	for i, f := range Files() {
		if err := os.Rename(partial[i], filepath.Join(dir, string(f)+".gz")); err != nil {
			return made, err
		}
		partial[i] = ""
	}
	return made, nil
}

func refuseExisting(dir string) error {
	for _, f := range Files() {
		for _, name := range []string{string(f), string(f) + ".gz"} {
			_, err := os.Lstat(filepath.Join(dir, name))
			if err == nil {
				return &fs.PathError{Op: "make", Path: name, Err: fs.ErrExist}
			}
			if !errors.Is(err, fs.ErrNotExist) {
				return err
			}
		}
	}
	return nil
}

// writeFile writes one file under another name, which it returns.
func writeFile(ctx context.Context, dir string, f File, o GenerateOptions, progress func(int)) (name string, err error) {
	file, err := os.CreateTemp(dir, "."+string(f)+".partial-*")
	if err != nil {
		return "", err
	}
	out := bufio.NewWriterSize(file, 1<<18)
	packed, err := gzip.NewWriterLevel(out, gzip.BestSpeed)
	if err == nil {
		w := &rowWriter{ctx: ctx, w: bufio.NewWriterSize(packed, 1<<16), words: newVocabulary(), progress: progress}
		err = errors.Join(w.file(f, o), w.w.Flush(), packed.Close(), out.Flush())
	}
	if err == nil {
		err = file.Chmod(0o644) // temporary files are private
	}
	if err = errors.Join(err, file.Close()); err != nil {
		return file.Name(), fmt.Errorf("write %s.gz: %w", f, err)
	}
	return file.Name(), nil
}

// rowWriter writes rows.
type rowWriter struct {
	ctx      context.Context
	w        *bufio.Writer
	words    *vocabulary
	progress func(int)
	rows     int
	line     []byte
}

// end writes the row, and says from time to time how far the file is.
func (w *rowWriter) end() error {
	w.line = append(w.line, '\n')
	_, err := w.w.Write(w.line)
	w.line = w.line[:0]
	if w.rows++; w.rows == 1<<14 {
		w.progress(w.rows)
		w.rows = 0
		err = errors.Join(err, w.ctx.Err())
	}
	return err
}

func (w *rowWriter) id(prefix string, i int) {
	w.line = strconv.AppendInt(append(w.line, prefix...), int64(idFloor+1+i), 10)
}

func (w *rowWriter) tab(text string) { w.line = append(append(w.line, '\t'), text...) }

func (w *rowWriter) file(f File, o GenerateOptions) (err error) {
	defer func() { w.progress(w.rows) }()
	row, n := w.basics, o.Titles
	w.line = append(w.line, "tconst\ttitleType\tprimaryTitle\toriginalTitle\tisAdult\tstartYear\tendYear\truntimeMinutes\tgenres\n"...)
	switch f {
	case CrewFile:
		row = w.crew
		w.line = append(w.line[:0], "tconst\tdirectors\twriters\n"...)
	case NamesFile:
		row, n = w.name, o.names()
		w.line = append(w.line[:0], "nconst\tprimaryName\tbirthYear\tdeathYear\tprimaryProfession\tknownForTitles\n"...)
	case AkasFile:
		row = w.akas
		w.line = append(w.line[:0], "titleId\tordering\ttitle\tregion\tlanguage\ttypes\tattributes\tisOriginalTitle\n"...)
	}
	if _, err := w.w.Write(w.line); err != nil {
		return err
	}
	w.line = w.line[:0]
	for i := range n {
		if err := row(o, i); err != nil {
			return err
		}
	}
	return nil
}

// Purposes of a drawn number.
const (
	forTitle uint64 = iota + 1
	forBasics
	forCrew
	forName
	forAkas
	forAkaTitle // and above: one for each title
)

// draw is a number for the i-th thing, independent of earlier draws. It is
// the finalizer of splitmix64, whose bits are good enough to make things up.
func (o GenerateOptions) draw(i int, purpose uint64) uint64 {
	z := o.Seed + uint64(i)*0x9e3779b97f4a7c15 + purpose*0xd1342543de82ef95
	z = (z ^ z>>30) * 0xbf58476d1ce4e5b9
	z = (z ^ z>>27) * 0x94d049bb133111eb
	return z ^ z>>31
}

// isFilm puts the films evenly among the titles.
func (o GenerateOptions) isFilm(i int) bool {
	films, titles := int64(o.films()), int64(o.Titles)
	return (int64(i)+1)*films/titles > int64(i)*films/titles
}

func (w *rowWriter) basics(o GenerateOptions, i int) error {
	h := o.draw(i, forBasics)
	year := strconv.Itoa(2025 - int(math.Sqrt(float64(h%16900)))) // more of late, none before 1895
	h /= 16900
	w.id("tt", i)
	title := w.words.title(o.draw(i, forTitle))
	if !o.isFilm(i) {
		kind := pick(w.words.otherTypes, &h)
		if kind == "tvEpisode" && h%2 == 0 {
			title = "Episode #" + strconv.Itoa(1+int(h%30)) + "." + strconv.Itoa(1+int(h/30%20))
		}
		w.tab(kind)
		w.tab(title)
		w.tab(title)
		w.tab("0")
		w.tab(year)
		w.tab(`\N`)
		w.tab(`\N`)
		w.tab(pick(w.words.genres, &h))
		return w.end()
	}
	kind, original := "movie", title
	if h%6 == 0 {
		kind = "tvMovie"
	}
	if h /= 6; h%5 == 0 {
		original = w.words.title(o.draw(i, forAkaTitle))
	}
	h /= 5
	w.tab(kind)
	w.tab(title)
	w.tab(original)
	w.tab("0")
	if h%10 == 0 {
		year = `\N`
	}
	h /= 10
	w.tab(year)
	w.tab(`\N`)
	if h%3 == 0 {
		w.tab(`\N`)
	} else {
		w.tab(strconv.Itoa(60 + int(h/3%90)))
	}
	h /= 270
	genres := pick(w.words.genres, &h)
	if second := pick(w.words.genres, &h); h%2 == 0 && second != genres {
		genres += "," + second
	}
	w.tab(genres)
	return w.end()
}

func (w *rowWriter) crew(o GenerateOptions, i int) error {
	h := o.draw(i, forCrew)
	w.id("tt", i)
	n := 1
	switch {
	case h%10 == 0 || !o.isFilm(i) && h%3 > 0:
		n = 0
	case h%7 == 0:
		n = 2
	case h%5001 == 0:
		n = 40
	}
	if n == 0 {
		w.tab(`\N`)
	}
	for k := range n {
		separator := byte(',')
		if k == 0 {
			separator = '\t'
		}
		w.line = append(w.line, separator)
		// One of a thousand is a person whom name.basics does not have.
		w.id("nm", int(o.draw(i, forCrew+uint64(k+1)<<32)%uint64(o.names()+o.names()/1000)))
	}
	w.tab(`\N`)
	return w.end()
}

func (w *rowWriter) name(o GenerateOptions, i int) error {
	h := o.draw(i, forName)
	w.id("nm", i)
	w.tab(pick(w.words.firstNames, &h))
	w.line = append(append(w.line, ' '), pick(w.words.lastNames, &h)...)
	w.tab(`\N`)
	w.tab(`\N`)
	w.tab("director")
	w.line = append(w.line, '\t')
	w.id("tt", int(h%uint64(o.Titles)))
	return w.end()
}

func (w *rowWriter) akas(o GenerateOptions, i int) error {
	for k := range o.akas(i) {
		w.id("tt", i)
		w.tab(strconv.Itoa(k + 1))
		h := o.draw(i, forAkaTitle+uint64(k))
		if k == 0 {
			w.tab(w.words.title(o.draw(i, forTitle)))
			w.line = append(w.line, "\t\\N\t\\N\toriginal\t\\N\t1"...)
		} else {
			w.tab(w.words.title(h))
			w.tab(pick(w.words.regions, &h))
			w.line = append(w.line, "\t\\N\timdbDisplay\t\\N\t0"...)
		}
		if err := w.end(); err != nil {
			return err
		}
	}
	return nil
}
