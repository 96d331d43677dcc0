package imdb

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"sync/atomic"
)

// File names one of the files that are read, without ".gz".
type File string

// The files. IMDb publishes others too; they are not needed.
const (
	BasicsFile File = "title.basics.tsv"
	CrewFile   File = "title.crew.tsv"
	NamesFile  File = "name.basics.tsv"
	AkasFile   File = "title.akas.tsv"
)

// Files lists them in the order in which they are read.
func Files() []File { return []File{BasicsFile, CrewFile, NamesFile, AkasFile} }

// columns are what is needed of a file.
func (f File) columns() []string {
	switch f {
	case BasicsFile:
		return []string{"tconst", "titleType", "primaryTitle", "originalTitle", "isAdult", "startYear", "runtimeMinutes", "genres"}
	case CrewFile:
		return []string{"tconst", "directors"}
	case NamesFile:
		return []string{"nconst", "primaryName"}
	case AkasFile:
		return []string{"titleId", "ordering", "title", "region", "language", "types", "attributes", "isOriginalTitle"}
	}
	panic(fmt.Sprintf("imdb: no such file: %q", string(f)))
}

// Dir is a directory with IMDb's files in it.
type Dir struct {
	path  string
	files map[File]*fileState
	// TempDir is where temporary files go; empty means where the system wants
	// them. They are some 300 MB for all of IMDb.
	TempDir string

	kept, otherTypes, adult, unknownDirectors atomic.Int64
}

type fileState struct {
	path string // empty if there is no such file
	size int64
	done atomic.Int64 // bytes, of the file as it is on disk
	rows atomic.Int64
	bad  atomic.Int64
}

// Open looks for the files in the directory at path, packed (title.basics.tsv.gz) or unpacked (title.basics.tsv); if
// both are there, the unpacked one counts. title.basics must be there, the others may be missing. Each that is there
// must begin with a header that names the columns that are needed; there may be more. Nothing stays open.
func Open(path string) (*Dir, error) {
	info, err := os.Stat(path)
	if err != nil {
		return nil, fmt.Errorf("open IMDb files: %w", err)
	}
	if !info.IsDir() {
		return nil, fmt.Errorf("open IMDb files: %s is not a directory; name the one that %s.gz is in", path, BasicsFile)
	}
	d := &Dir{path: path, files: make(map[File]*fileState)}
	for _, f := range Files() {
		s := &fileState{}
		d.files[f] = s
		for _, name := range []string{string(f), string(f) + ".gz"} {
			candidate := filepath.Join(path, name)
			info, err := os.Stat(candidate)
			if errors.Is(err, fs.ErrNotExist) {
				continue
			}
			if err != nil {
				return nil, fmt.Errorf("open IMDb files: %w", err)
			}
			if info.IsDir() {
				return nil, fmt.Errorf("open IMDb files: %s is a directory; it must be a file", candidate)
			}
			s.path, s.size = candidate, info.Size()
			break
		}
		if s.path == "" {
			if f == BasicsFile {
				return nil, fmt.Errorf("open IMDb files: %s has no %s and no %s.gz%s", path, f, f, d.hint())
			}
			continue
		}
		if err := checkFile(s.path, f); err != nil {
			return nil, fmt.Errorf("open IMDb files: read %s: %w", s.path, err)
		}
	}
	return d, nil
}

// hint helps with the usual mistake: to name the directory around the one.
func (d *Dir) hint() string {
	found, _ := filepath.Glob(filepath.Join(d.path, "*", string(BasicsFile)+"*"))
	if len(found) == 1 {
		return "; did you mean " + filepath.Dir(found[0]) + "?"
	}
	return ""
}

// checkFile looks at a file's header alone.
func checkFile(path string, f File) error {
	src, err := openSource(path, nil)
	if err != nil {
		return err
	}
	_, err = newTable(filepath.Base(path), src, f.columns())
	return errors.Join(err, src.Close())
}

// Path is the directory, as given to Open.
func (d *Dir) Path() string { return d.path }

// Name is what the file is called in this directory, with ".gz" if it is packed; empty if it is not there.
func (d *Dir) Name(f File) string {
	if d.files[f].path == "" {
		return ""
	}
	return filepath.Base(d.files[f].path)
}

// Lacking says which facts films go without because files are missing, one sentence for each.
func (d *Dir) Lacking() []string {
	var texts []string
	say := func(lack string, files ...File) {
		var missing []string
		for _, f := range files {
			if d.Name(f) == "" {
				missing = append(missing, string(f)+".gz")
			}
		}
		if len(missing) > 0 {
			texts = append(texts, fmt.Sprintf("%s has no %s: films go in without %s", d.path, strings.Join(missing, " and no "), lack))
		}
	}
	say("directors", CrewFile, NamesFile)
	say("alternative titles", AkasFile)
	return texts
}

// Size is the number of bytes of all files that will be read, as they are on disk.
func (d *Dir) Size() int64 {
	var n int64
	for _, f := range d.reading() {
		n += d.files[f].size
	}
	return n
}

// reading lists the files that will be read: names are of no use without who directed, nor the other way round.
func (d *Dir) reading() []File {
	files := []File{BasicsFile}
	if d.directed() {
		files = append(files, CrewFile, NamesFile)
	}
	if d.Name(AkasFile) != "" {
		files = append(files, AkasFile)
	}
	return files
}

func (d *Dir) directed() bool { return d.Name(CrewFile) != "" && d.Name(NamesFile) != "" }

// Counts is how far a reading is.
type Counts struct {
	// Bytes is how many of [Dir.Size] have been read.
	Bytes int64
	// Rows and Rejected are the rows read and rejected of all files; rejected ones are among those read.
	Rows, Rejected int64
	// Kept is the number of films among the titles. OtherTypes are the titles of
	// other types, Adult the films that are marked so; both are left out.
	Kept, OtherTypes, Adult int64
	// UnknownDirectors is how many times a director's id had no name. It is known when the first film is.
	UnknownDirectors int64
}

// Counts returns the counts of the current or last reading. It may be called during a reading.
func (d *Dir) Counts() Counts {
	c := Counts{
		Kept: d.kept.Load(), OtherTypes: d.otherTypes.Load(), Adult: d.adult.Load(), UnknownDirectors: d.unknownDirectors.Load(),
	}
	for _, s := range d.files {
		c.Bytes += min(s.done.Load(), s.size)
		c.Rows += s.rows.Load()
		c.Rejected += s.bad.Load()
	}
	return c
}

// Rows is the number of rows of one file in the present or last reading.
func (d *Dir) Rows(f File) int64 { return d.files[f].rows.Load() }
