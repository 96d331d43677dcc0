package main

import (
	"context"
	"fmt"
	"maps"
	"slices"

	"github.com/spf13/cobra"

	"movieexample.com/client"
	"movieexample.com/imdb"
)

const importIMDbHelp = `Import films from the files that IMDb publishes for non-commercial use (https://developer.imdb.com/non-commercial-datasets/).

DIR holds, compressed (.gz) or not:
  title.basics.tsv  titles, years, running times and genres; required
  title.crew.tsv    ids of the directors
  name.basics.tsv   the names of those ids
  title.akas.tsv    titles in other countries
If one is missing, films go in without what it would add, and a note says so.

Movies and TV movies go to the metadata service. Adult titles, series, episodes and all others are left out. A film's id is its
IMDb id. If the catalogue has a film with that IMDb id, it gets title, original title, year, running time and director from these
files. Everything else stays, genres and titles are merged, and a replaced title is kept as an alternative one. So imports may run
in any order.

Memory does not grow with the files. All of IMDb, 75 million rows, takes some 300 MB of temporary files in the directory that
TMPDIR names; they are removed when the command ends, however it ends. You can interrupt and repeat it at any time.

Rejected rows are listed on standard error with file, line and reason; the others go in. A value that is malformed, or that the
catalogue does not take (a year after 2100, more than 6,000 minutes, directors of more than 500 characters), is left out of its
row, and a note says so.

Exit codes: 0 all rows went in, 3 some were rejected, 4 the system cannot be reached, 130 interrupted.`

func newImportIMDbCommand() *cobra.Command {
	f := &importFlags{}
	cmd := &cobra.Command{
		Use:   "imdb DIR",
		Short: "Import films from IMDb's files",
		Long:  importIMDbHelp,
		Example: `  movieexample import imdb imdb-files
  movieexample import imdb imdb-files -o json --rejects rejected.txt
  TMPDIR=/var/tmp movieexample import imdb imdb-files --addresses addresses.json`,
		Args:              oneArgument("DIR", "the directory with title.basics.tsv.gz and its like"),
		ValidArgsFunction: completeDirectory,
		RunE: func(cmd *cobra.Command, args []string) error {
			return f.run(cmd, func(ctx context.Context, c *client.Client, v importView) (imported, error) {
				s, err := c.ImportIMDb(ctx, args[0], client.IMDbOptions{
					Progress: v.update,
					Lacking:  func(text string) { v.println("note: " + text) },
					Rejected: func(bad *imdb.RowError) { v.rejected.add(bad.Error()) },
					Noted:    func(odd *imdb.RowError) { v.noted.add(odd.Error()) },
				})
				return imported{s, int64(len(s.Rows)), s.Rejected, func(b summary) { printIMDbImport(b, s) }}, err
			})
		},
	}
	f.add(cmd, client.Metadata)
	return cmd
}

func printIMDbImport(b summary, s client.IMDbSummary) {
	var rows int64
	for _, name := range slices.Sorted(maps.Keys(s.Rows)) {
		b.row("rows", "%s in %s", grouped(s.Rows[name]), name)
		rows += s.Rows[name]
	}
	b.row("left out", "%s that are no films, %s", counted(s.OtherTypes, "title", "titles"), counted(s.Adult, "adult title", "adult titles"))
	b.films(s.Films)
	if s.UnknownDirectors > 0 {
		b.row("directors", "%s without a name", counted(s.UnknownDirectors, "director is", "directors are"))
	}
	b.oddRows(s.Rejected, s.Noted)
	parts := fmt.Sprintf("files %.1f s, films %.1f s", s.Seconds.Read, s.Seconds.Films)
	if s.Seconds.Total > 0 {
		parts += fmt.Sprintf("; %s rows/s in all", grouped(int64(float64(rows)/s.Seconds.Total)))
	}
	b.duration(client.Seconds{Total: s.Seconds.Total}, parts, false)
	last := ""
	if s.NothingChanged {
		last = nothingChanged(s.Films, s.Rejected+s.Noted, "every film was there as it is in the files")
	}
	b.end(s.Interrupted, last)
}
