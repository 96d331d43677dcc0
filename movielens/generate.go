package movielens

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
	"strings"
	"time"
)

// GenerateOptions says what [Generate] shall make up.
type GenerateOptions struct {
	// Users is the number of users, from 1 up.
	Users int
	// Ratings is the number of ratings: at least 20 for each user, as in the
	// original, and at most one for each user and movie.
	Ratings int
	// Movies is the number of movies, from 20 to 9,000,000. 0 means a tenth of
	// Ratings, or more if the users need more to choose from.
	Movies int
	// Seed decides everything that is made up.
	Seed uint64
	// Overwrite allows existing files to be replaced.
	Overwrite bool
	// Progress, if not nil, is called now and then with the number of ratings written so far.
	Progress func(ratings int)
}

const maxMovies = 9_000_000

// Made-up ids are greater than these, which are far above any that MovieLens (some 300,000), IMDb (some 40,000,000)
// and TMDB (some 1,500,000) have given in 2026, and within the ten digits that an id may have.
const (
	movieIDFloor = 90_000_000
	tmdbFloor    = 900_000_000
)

// movies is the number of movies, derived if not given.
func (o GenerateOptions) movies() int {
	if o.Movies != 0 {
		return o.Movies
	}
	each := (o.Ratings + o.Users - 1) / o.Users
	return min(max(o.Ratings/10, 2*each, 2*leastRatings), maxMovies)
}

// Validate names the first option that is out of range, and what is allowed.
func (o GenerateOptions) Validate() error {
	if o.Users < 1 {
		return fmt.Errorf("users is %d; it must be at least 1", o.Users)
	}
	if o.Users > math.MaxInt32 {
		return fmt.Errorf("users is %d; it must be at most %d", o.Users, math.MaxInt32)
	}
	if o.Ratings < leastRatings*o.Users {
		return fmt.Errorf("ratings is %d; every user has at least %d, so %d users need at least %d", o.Ratings, leastRatings, o.Users, leastRatings*o.Users)
	}
	if movies := o.movies(); movies < leastRatings || movies > maxMovies {
		return fmt.Errorf("movies is %d; it must be from %d to %d", movies, leastRatings, maxMovies)
	}
	if most := o.Users * o.movies(); o.Ratings > most {
		return fmt.Errorf("ratings is %d; a user rates a movie once, so %d users and %d movies allow at most %d", o.Ratings, o.Users, o.movies(), most)
	}
	return nil
}

// Generated is what [Generate] has written.
type Generated struct {
	Users, Movies, Ratings int
}

// shares of the ratings 0.5, 1.0 … 5.0 in ml-latest-small, rounded.
var shares = [10]float64{.0136, .0279, .0178, .0749, .0550, .1988, .1303, .2660, .0848, .1310}

// zipfSlope is the slope of movie popularity over rank, both logarithmic.
const zipfSlope = 0.72

// How much films and users differ in the synthetic data set, as standard
// deviations of the latent opinion, whose own is 1.
const (
	filmSpread = 0.45
	userSpread = 0.42
)

// The synthetic ratings lie in the time of the original's.
var (
	firstRating = time.Date(1996, time.March, 29, 0, 0, 0, 0, time.UTC)
	lastRating  = time.Date(2018, time.September, 24, 0, 0, 0, 0, time.UTC)
)

// Generate writes a synthetic data set in the format of MovieLens to dir, which is made if need be: movies.csv,
// links.csv and ratings.csv, with the header lines, line ends and order of the original, and with its oddities in the
// titles. It is meant for scale tests; no line of it comes from the original.
//
// Its shape is that of ml-latest-small: the shares of the ten values; the ratings per user, lognormal with µ 4.448
// and σ 1.060 (as measured on the result) from 20 up; the popularity of movies, Zipf with slope 0.72, as far as users
// who rate a movie only once allow it. Where Ratings/Users is not about 164, what users have above 20 is stretched or
// shrunk. The movies' ids are made up too, in ranges that no real film has, so that the set can be imported beside a
// real one: from 90,000,001 up at MovieLens and IMDb, from 900,000,001 up at TMDB. User ids begin at 1.
//
// The same options give the same bytes on the same processor architecture. Memory is some 60 bytes for each movie and
// 20 for each user. All files are written under other names and renamed when they are complete, so an error leaves
// nothing behind. An existing file is an error that says so, unless Overwrite is set.
func Generate(ctx context.Context, dir string, o GenerateOptions) (Generated, error) {
	if err := o.Validate(); err != nil {
		return Generated{}, fmt.Errorf("generate MovieLens data set: %w", err)
	}
	if err := generate(ctx, dir, o); err != nil {
		return Generated{}, fmt.Errorf("generate MovieLens data set in %s: %w", dir, err)
	}
	return Generated{Users: o.Users, Movies: o.movies(), Ratings: o.Ratings}, nil
}

func generate(ctx context.Context, dir string, o GenerateOptions) (err error) {
	if !o.Overwrite {
		if err := refuseExisting(dir); err != nil {
			return err
		}
	}
	if err := os.MkdirAll(dir, 0o777); err != nil {
		return err
	}
	ids := movieIDs(o.Seed, o.movies())
	steps := []struct {
		file  File
		write func(*bufio.Writer) error
	}{
		{MoviesFile, func(w *bufio.Writer) error { return writeMovies(ctx, w, o, ids) }},
		{LinksFile, func(w *bufio.Writer) error { return writeLinks(ctx, w, ids) }},
		{RatingsFile, func(w *bufio.Writer) error { return writeRatings(ctx, w, o, ids) }},
	}
	var partial []string
	defer func() {
		for _, path := range partial {
			err = errors.Join(err, os.Remove(path))
		}
	}()
	for _, step := range steps {
		f, err := os.CreateTemp(dir, "."+string(step.file)+".partial-*")
		if err != nil {
			return err
		}
		partial = append(partial, f.Name())
		if err := writeFile(f, step.write); err != nil {
			return fmt.Errorf("write %s: %w", step.file, err)
		}
	}
	for _, step := range steps {
		if err := os.Rename(partial[0], filepath.Join(dir, string(step.file))); err != nil {
			return err
		}
		partial = partial[1:]
	}
	return nil
}

func refuseExisting(dir string) error {
	var existing []string
	for _, f := range []File{MoviesFile, LinksFile, RatingsFile} {
		_, err := os.Lstat(filepath.Join(dir, string(f)))
		if err == nil {
			existing = append(existing, string(f))
		} else if !errors.Is(err, fs.ErrNotExist) {
			return err
		}
	}
	if len(existing) > 0 {
		return existError(existing)
	}
	return nil
}

// existError names the files that are there. It matches fs.ErrExist, whose own text would say the same again.
type existError []string

func (e existError) Error() string {
	last := len(e) - 1
	if last == 0 {
		return e[0] + " is there already"
	}
	return strings.Join(e[:last], ", ") + " and " + e[last] + " are there already"
}

func (e existError) Is(target error) bool { return target == fs.ErrExist } //nolint:errorlint // this is Is

// writeFile fills and closes f, so that it may be renamed.
func writeFile(f *os.File, write func(*bufio.Writer) error) error {
	w := bufio.NewWriterSize(f, 1<<18)
	err := write(w)
	if err == nil {
		err = w.Flush()
	}
	if err == nil {
		err = f.Chmod(0o644) // temporary files are private
	}
	if err == nil {
		err = f.Sync() // or a crash may keep the new name and lose the content
	}
	return errors.Join(err, f.Close())
}

// movieIDs are ascending with gaps, as in the original, where programs that take an id for an index fail.
func movieIDs(seed uint64, n int) []int64 {
	rng := generator(seed, forFilms)
	ids := make([]int64, n)
	id := int64(movieIDFloor)
	for i := range ids {
		id++
		if rng.IntN(4) == 0 {
			id += rng.Int64N(4)
		}
		ids[i] = id
	}
	return ids
}

func writeMovies(ctx context.Context, w *bufio.Writer, o GenerateOptions, ids []int64) error {
	w.WriteString(moviesHeader + "\r\n")
	titles := newTitleMaker(generator(o.Seed, forTitles))
	var line []byte
	for i, id := range ids {
		if err := now(ctx, i); err != nil {
			return err
		}
		line = strconv.AppendInt(line[:0], id, 10)
		line = append(line, ',')
		line = appendField(line, titles.title())
		line = append(line, ',')
		line = append(line, titles.genres()...)
		line = append(line, "\r\n"...)
		if _, err := w.Write(line); err != nil {
			return err
		}
	}
	return nil
}

// appendField quotes a field where CSV wants it (RFC 4180).
func appendField(line []byte, field string) []byte {
	if !strings.ContainsAny(field, "\",\r\n") {
		return append(line, field...)
	}
	line = append(line, '"')
	line = append(line, strings.ReplaceAll(field, `"`, `""`)...)
	return append(line, '"')
}

func writeLinks(ctx context.Context, w *bufio.Writer, ids []int64) error {
	w.WriteString(linksHeader + "\r\n")
	for i, id := range ids {
		if err := now(ctx, i); err != nil {
			return err
		}
		tmdb := strconv.FormatInt(tmdbFloor-movieIDFloor+id, 10)
		if i%1000 == 790 {
			tmdb = "" // 8 of 9,742 in the original
		}
		if _, err := fmt.Fprintf(w, "%d,%08d,%s\r\n", id, id, tmdb); err != nil {
			return err
		}
	}
	return nil
}

func writeRatings(ctx context.Context, w *bufio.Writer, o GenerateOptions, ids []int64) error {
	w.WriteString(ratingsHeader + "\r\n")
	stars := [11]string{"", "0.5", "1.0", "1.5", "2.0", "2.5", "3.0", "3.5", "4.0", "4.5", "5.0"}
	times := newCalendar(o.Seed, firstRating.Unix(), lastRating.Unix())
	var line []byte
	done, reported := 0, 0
	c := movieLensCrowd(o, len(ids))
	for user, votes := range c.votes() {
		if err := ctx.Err(); err != nil {
			return err
		}
		times.newUser(len(votes))
		for _, v := range votes {
			line = strconv.AppendInt(line[:0], int64(user)+1, 10)
			line = append(line, ',')
			line = strconv.AppendInt(line, ids[v.film], 10)
			line = append(line, ',')
			line = append(line, stars[c.value(v)]...)
			line = append(line, ',')
			line = strconv.AppendInt(line, times.next(), 10)
			line = append(line, "\r\n"...)
			if _, err := w.Write(line); err != nil {
				return err
			}
		}
		done += len(votes)
		if o.Progress != nil && (done-reported >= 1<<16 || done == o.Ratings) {
			o.Progress(done)
			reported = done
		}
	}
	return nil
}

// calibrateUpTo is the number of ratings up to which the cuts are found by going through them all. With more, the few
// films and users that have a large part of the ratings no longer bend the distribution visibly.
const calibrateUpTo = 1_000_000

// movieLensCrowd has the shape of the original. Opinions are about normal with
// deviation 1 over all ratings, so the quantiles of the shares are the cuts.
func movieLensCrowd(o GenerateOptions, movies int) *crowd {
	c := &crowd{seed: o.Seed, noise: math.Sqrt(1 - filmSpread*filmSpread - userSpread*userSpread)}
	below := 0.0
	for _, share := range shares[:9] {
		below += share
		c.cuts = append(c.cuts, normalQuantile(below))
	}
	c.counts = activity(o.Seed, o.Users, o.Ratings, leastRatings, movies)
	c.bias = biases(o.Seed, c.counts, userSpread)

	rng := generator(o.Seed, forFilms)
	c.weights = shuffled(rng, zipfWeights(zipfSlope, movies, c.counts))
	var total float64
	for _, w := range c.weights {
		total += w
	}
	c.location = make([]float64, movies)
	for i := range c.location {
		c.location[i] = rng.NormFloat64()
	}
	// A film's part of the ratings is less than its weight if nearly every user has it: they rate it once.
	each := float64(o.Ratings) / float64(o.Users)
	standardize(c.location, func(i int) float64 { return -math.Expm1(-each * c.weights[i] / total) }, filmSpread)
	if o.Ratings <= calibrateUpTo {
		c.cutAt(shares[:])
	}
	return c
}

// now is the context's error, asked for every so many rows.
func now(ctx context.Context, row int) error {
	if row%4096 != 0 {
		return nil
	}
	return ctx.Err()
}
