package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"

	"github.com/spf13/cobra"

	"movieexample.com/client"
	"movieexample.com/client/formats"
)

const importMoviesHelp = `Import movies from a file in our own format, as 'movieexample export movies' writes it; docs/formats.md describes it.

FILE is CSV or JSON lines. Its name (.csv, .jsonl) or --format gives the format. "-" is standard input, whose first character gives
the format.

  --mode replace  (the default) replaces the whole movie: a field that is empty in the file is removed from the movie. So a CSV
                  file must have all columns.
  --mode fill     fills in what the catalogue lacks, and merges lists. A CSV file needs only id and title.

Movies that are not in the file stay as they are. If an id occurs twice, the last row counts. An export that is imported into an
empty system and exported again gives the same bytes.

Rejected rows are listed on standard error with file, line and reason; the others go in. A row is rejected if another movie has
its external id. A field that is malformed, or that the catalogue does not take, is left out of its row, and a note says so; a
movie that exists keeps its value. This does not apply to id and title.

Exit codes: 0 all rows went in, 3 some were rejected, 4 the system cannot be reached, 130 interrupted.`

const importRatingsHelp = `Import ratings from a file in our own format, as 'movieexample export ratings' writes it; docs/formats.md describes it.

FILE is CSV or JSON lines. Its name (.csv, .jsonl) or --format gives the format. "-" is standard input, whose first character gives
the format. The lines of a JSON file are rating events, as 'movieexample publish' takes them; here ratedAt is required.

The ratings go to Kafka as events with the time at which the user rated. The command returns when aggregates and charts include the
last one, or with --no-wait when Kafka has it. You can interrupt and repeat it at any time: the same rating changes nothing, and
a rating that is newer than the one in the file stays.

Rejected rows are listed on standard error with file, line and reason; the others go in. A malformed providerId in a CSV file is
left out, and a note says so.

Exit codes: 0 all rows went in, 3 some were rejected, 4 the system cannot be reached or a partition is halted, 130 interrupted.`

// The values of --mode.
const (
	modeReplace = "replace"
	modeFill    = "fill"
)

func newImportMoviesCommand() *cobra.Command {
	f, mode := &importFlags{stall: client.DefaultStallTimeout}, modeReplace
	cmd := newImportFileCommand(f, "movies", importMoviesHelp, `  movieexample import movies movies.csv
  movieexample import movies more.jsonl --mode fill --rejects rejected.txt
  curl -s https://films.example/movies.csv | movieexample import movies - -o json`,
		func(ctx context.Context, c *client.Client, r io.Reader, opt client.FileOptions) (imported, error) {
			opt.Fill = mode == modeFill
			s, err := c.ImportMovies(ctx, r, opt)
			return imported{s, s.Films.Read + s.Rejected, s.Rejected, func(b summary) { printMoviesImport(b, s) }}, err
		})
	f.add(cmd, client.Metadata)
	addChoice(cmd, &mode, "mode", "", "MODE", "what happens to a movie that exists: replace or fill", modeReplace, modeFill)
	return cmd
}

func newImportRatingsCommand() *cobra.Command {
	f := &importFlags{}
	cmd := newImportFileCommand(f, "ratings", importRatingsHelp, `  movieexample import ratings ratings.jsonl
  movieexample import ratings ratings.csv --no-wait -o json
  movieexample export ratings --addresses old.json | movieexample import ratings - --addresses new.json`,
		func(ctx context.Context, c *client.Client, r io.Reader, opt client.FileOptions) (imported, error) {
			opt.NoWait, opt.StallTimeout = f.noWait, f.stall
			s, err := c.ImportRatings(ctx, r, opt)
			return imported{s, s.Ratings.Read + s.Rejected, s.Rejected, func(b summary) { printRatingsImport(b, s) }}, err
		})
	f.add(cmd, client.Rating, client.Kafka)
	f.addWaiting(cmd)
	return cmd
}

// newImportFileCommand returns a command that imports a file of ours with do.
func newImportFileCommand(f *importFlags, what, help, examples string,
	do func(context.Context, *client.Client, io.Reader, client.FileOptions) (imported, error),
) *cobra.Command {
	var format string
	cmd := &cobra.Command{
		Use:               what + " FILE|-",
		Short:             "Import " + what + " from a CSV or JSON-lines file",
		Long:              help,
		Example:           examples,
		Args:              oneArgument("FILE", `a file of `+what+`, or "-" for standard input`),
		ValidArgsFunction: completeDataFile,
		RunE: func(cmd *cobra.Command, args []string) error {
			if err := checkStall(f.stall); err != nil {
				return err
			}
			opt := client.FileOptions{Name: args[0]}
			src := cmd.InOrStdin()
			if args[0] == "-" {
				opt.Name = "standard input"
			} else {
				opened, size, err := openData(args[0])
				if err != nil {
					return err
				}
				defer opened.Close() // read only
				src, opt.Size = opened, size
			}
			var err error
			if opt.Format, src, err = formatOf(format, args[0], src); err != nil {
				return err
			}
			return f.run(cmd, func(ctx context.Context, c *client.Client, v importView) (imported, error) {
				opt.Progress, opt.Waiting = v.update, v.println
				opt.Rejected = func(bad *formats.RowError) { v.rejected.add(bad.Error()) }
				opt.Noted = func(odd *formats.RowError) { v.noted.add(odd.Error()) }
				return do(ctx, c, src, opt)
			})
		},
	}
	addFormatFlag(cmd, &format)
	return cmd
}

// openData opens a file to import, and returns its size.
func openData(path string) (*os.File, int64, error) {
	file, err := os.Open(path)
	if err != nil {
		return nil, 0, usagef("%w", err)
	}
	info, err := file.Stat()
	if err == nil && info.IsDir() {
		err = fmt.Errorf("%s is a directory; name a file", path)
	}
	if err != nil {
		return nil, 0, errors.Join(usagef("%w", err), file.Close())
	}
	return file, info.Size(), nil
}

func printMoviesImport(b summary, s client.MoviesSummary) {
	b.films(s.Films)
	b.oddRows(s.Rejected, s.Noted)
	b.row("took", "%.1f s", s.Seconds)
	last := ""
	if s.NothingChanged {
		last = nothingChanged(s.Films, s.Rejected+s.Noted, "every movie was there as it is in the file")
	}
	b.end(s.Interrupted, last)
}

func printRatingsImport(b summary, s client.RatingsSummary) {
	b.row("ratings", "%s read, %s published", grouped(s.Ratings.Read), grouped(s.Ratings.Published))
	b.oddRows(s.Rejected, s.Noted)
	b.totals(s.Before, s.After)
	b.duration(s.Seconds, fmt.Sprintf("ratings %.1f s", s.Seconds.Ratings), s.Waited)
	b.end(s.Interrupted, mayLag(s.Waited, s.Ratings.Published))
}
