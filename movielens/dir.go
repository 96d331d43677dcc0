package movielens

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"iter"
	"os"
	"path/filepath"
	"strings"
	"sync/atomic"
)

// File names one of the three files of a data set that are read.
type File string

// The files of a data set. GroupLens ships others too; they are not needed.
const (
	MoviesFile  File = "movies.csv"
	LinksFile   File = "links.csv"
	RatingsFile File = "ratings.csv"
)

// Dir is a directory with a MovieLens data set in it. Streams may be taken from
// it again and again, and at the same time.
type Dir struct {
	path                   string
	movies, links, ratings fileState
}

type fileState struct {
	size int64
	done atomic.Int64
}

// Open checks that path is a directory with movies.csv, links.csv and ratings.csv in it, and that each begins with
// its header line; symbolic links are followed. The error says which are missing, or what was found instead of a
// header. Nothing stays open between streams.
func Open(path string) (*Dir, error) {
	info, err := os.Stat(path)
	if err != nil {
		return nil, fmt.Errorf("open MovieLens data set: %w", err)
	}
	if !info.IsDir() {
		hint := "name the directory that movies.csv, links.csv and ratings.csv are in"
		if strings.HasSuffix(path, ".zip") {
			hint = "unpack it, and name the directory it was unpacked to"
		}
		return nil, fmt.Errorf("open MovieLens data set: %s is not a directory; %s", path, hint)
	}
	d := &Dir{path: path}
	var missing []string
	for _, f := range []File{MoviesFile, LinksFile, RatingsFile} {
		info, err := os.Stat(filepath.Join(path, string(f)))
		switch {
		case errors.Is(err, fs.ErrNotExist):
			missing = append(missing, string(f))
		case err != nil:
			return nil, fmt.Errorf("open MovieLens data set: %w", err)
		case info.IsDir():
			return nil, fmt.Errorf("open MovieLens data set: %s is a directory; it must be a file", filepath.Join(path, string(f)))
		default:
			d.state(f).size = info.Size()
		}
	}
	if len(missing) > 0 {
		return nil, fmt.Errorf("open MovieLens data set: %s has no %s%s", path, strings.Join(missing, ", no "), d.hint())
	}
	for _, f := range []struct {
		name   File
		header string
	}{{MoviesFile, moviesHeader}, {LinksFile, linksHeader}, {RatingsFile, ratingsHeader}} {
		if err := checkFile(filepath.Join(path, string(f.name)), f.header); err != nil {
			return nil, fmt.Errorf("open MovieLens data set: %w", err)
		}
	}
	return d, nil
}

// checkFile looks at a file's header alone.
func checkFile(path, header string) error {
	f, err := os.Open(path)
	if err != nil {
		return err
	}
	defer f.Close()
	if err := checkHeader(newRecords(f), header); err != nil {
		return fmt.Errorf("read %s: %w", path, err)
	}
	return nil
}

// hint helps with the usual mistake: the archive holds a directory, and the user names the one around it.
func (d *Dir) hint() string {
	found, _ := filepath.Glob(filepath.Join(d.path, "*", string(RatingsFile)))
	if len(found) == 1 {
		return "; did you mean " + filepath.Dir(found[0]) + "?"
	}
	return ""
}

// Path is the directory, as given to Open.
func (d *Dir) Path() string { return d.path }

// Size is the file's size in bytes when it was opened.
func (d *Dir) Size(f File) int64 { return d.state(f).size }

// Done is the number of bytes of the file that the most recently read stream has dealt with, for a progress bar
// against [Dir.Size]. It may be called while the stream is being read.
func (d *Dir) Done(f File) int64 { return d.state(f).done.Load() }

func (d *Dir) state(f File) *fileState {
	switch f {
	case MoviesFile:
		return &d.movies
	case LinksFile:
		return &d.links
	case RatingsFile:
		return &d.ratings
	}
	panic(fmt.Sprintf("movielens: no such file in a data set: %q", string(f)))
}

// Movies streams movies.csv, with the errors of [ReadMovies].
func (d *Dir) Movies(ctx context.Context) iter.Seq2[Movie, error] {
	return stream(ctx, d, MoviesFile, moviesHeader, parseMovie)
}

// Links streams links.csv, with the errors of [ReadMovies].
func (d *Dir) Links(ctx context.Context) iter.Seq2[Link, error] {
	return stream(ctx, d, LinksFile, linksHeader, parseLink)
}

// Ratings streams ratings.csv, with the errors of [ReadMovies].
func (d *Dir) Ratings(ctx context.Context) iter.Seq2[Rating, error] {
	return stream(ctx, d, RatingsFile, ratingsHeader, parseRating)
}

func stream[T any](ctx context.Context, d *Dir, f File, header string, parse func([]string, int) (T, []*RowError)) iter.Seq2[T, error] {
	return func(yield func(T, error) bool) {
		path := filepath.Join(d.path, string(f))
		src, err := os.Open(path)
		if err != nil {
			var none T
			yield(none, fmt.Errorf("read MovieLens data set: %w", err))
			return
		}
		defer src.Close()
		done := &d.state(f).done
		done.Store(0)
		rows(ctx, path, header, src, done, parse)(yield)
	}
}

// baseName is what rejects call the file: there may be thousands of them, all from the directory that the user named.
func baseName(name string) string { return filepath.Base(name) }

// Film is a movie together with its link.
type Film struct {
	Movie
	// IMDb and TMDB are as in [Link]; empty where links.csv gives none.
	IMDb, TMDB string
}

// ImportID is the id under which the film is imported, see the function [ID].
func (f Film) ImportID() string { return ID(f.IMDb, f.ID) }

// Catalogue streams movies.csv, each movie with its link, with the errors of [ReadMovies].
//
// The links are held in memory, some 100 bytes each: links.csv has 9,742 rows in the small data set and 90,000 in the
// largest. The order of neither file matters. A movie without a link is fine; a link without a movie says nothing
// about this data set and is left out. Rejected links come first.
//
// An IMDb id belongs to one film only, because imported films are identified by it. A second movieId with the same one is
// rejected and its movie comes without a link, as does the second of two links for one movieId.
func (d *Dir) Catalogue(ctx context.Context) iter.Seq2[Film, error] {
	return func(yield func(Film, error) bool) {
		links := make(map[int64]Link)
		byIMDb := make(map[string]int64)
		for link, err := range stream(ctx, d, LinksFile, linksHeader, uniqueLinks(links, byIMDb)) {
			if err != nil {
				if !yield(Film{}, err) || !isRowError(err) {
					return
				}
				continue
			}
			links[link.MovieID] = link
			if link.IMDb != "" {
				byIMDb[link.IMDb] = link.MovieID
			}
		}
		clear(byIMDb)
		for movie, err := range d.Movies(ctx) {
			film := Film{Movie: movie}
			if err == nil {
				link := links[movie.ID]
				film.IMDb, film.TMDB = link.IMDb, link.TMDB
			}
			if !yield(film, err) || err != nil && !isRowError(err) {
				return
			}
		}
	}
}

// uniqueLinks is parseLink, and rejects what contradicts the links before it.
func uniqueLinks(links map[int64]Link, byIMDb map[string]int64) func([]string, int) (Link, []*RowError) {
	return func(fields []string, line int) (Link, []*RowError) {
		link, wrong := parseLink(fields, line)
		if link.MovieID == 0 {
			return link, wrong
		}
		if _, ok := links[link.MovieID]; ok {
			return Link{}, rejected(&RowError{Field: "movieId", Value: fields[0], Reason: "has a link in an earlier row; the first one counts"})
		}
		if other, ok := byIMDb[link.IMDb]; ok {
			return Link{}, rejected(&RowError{Field: "imdbId", Value: fields[1], Reason: fmt.Sprintf("is the id of movieId %d in an earlier row; an IMDb id belongs to one film only", other)})
		}
		return link, wrong
	}
}

func isRowError(err error) bool {
	var bad *RowError
	return errors.As(err, &bad)
}
