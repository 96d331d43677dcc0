package main

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"movieexample.com/client"
	"movieexample.com/client/formats"
)

const importMoviesHelp = `Import movies from a file in our own format, as 'movieexample export movies' writes it; docs/formats.md describes it.

FILE is CSV or JSON lines, by its name (.csv, .jsonl) or by --format; "-" is standard input, whose format is seen from its first character.

  --mode replace  (the default) a movie becomes what the file says, whole: what the file leaves empty is removed from a movie that is
                  there. So a CSV file must have all columns.
  --mode fill     only what the catalogue lacks is filled in, and lists are united. A CSV file needs no more than id and title.

Movies that the file does not have stay as they are. Of two rows with one id the last one counts. An export that is imported into an
empty system and exported again gives the same bytes.

Rows that cannot go in are listed on standard error with file, line and reason; the others go in. An external id that another movie
has keeps a row out. A field that cannot be read, or that the catalogue does not take, costs only itself, if it is not id or title: a movie that
is there keeps what it has in it, and a note says so.

Exit codes: 0 all rows went in, 3 some were rejected, 4 the system cannot be reached, 130 interrupted.`

const importRatingsHelp = `Import ratings from a file in our own format, as 'movieexample export ratings' writes it; docs/formats.md describes it.

FILE is CSV or JSON lines, by its name (.csv, .jsonl) or by --format; "-" is standard input, whose format is seen from its first character.
The lines of a JSON file are rating events, which 'movieexample publish' takes too; here each must have a time, ratedAt.

The ratings go to Kafka as events with the time at which the user rated. The command returns when aggregates and charts include the last
one, or with --no-wait when Kafka has it. It can be interrupted and repeated at any time: the same rating again changes nothing, and one
that is newer than the file's stays.

Rows that cannot go in are listed on standard error with file, line and reason; the others go in. A providerId of a CSV file that cannot be
read is left out, and a note says so.

Exit codes: 0 all rows went in, 3 some were rejected, 4 the system cannot be reached or ingestion stands still, 130 interrupted.`

// importFileFlags are the flags of the imports of our own files.
type importFileFlags struct {
	*clientFlags
	output  *outputFlag
	format  formatFlag
	mode    modeFlag
	rejects string
	noWait  bool
	stall   time.Duration
}

func newImportMoviesCommand() *cobra.Command {
	f := &importFileFlags{mode: modeReplace, stall: client.DefaultStallTimeout}
	cmd := f.command("movies", importMoviesHelp, `  movieexample import movies movies.csv
  movieexample import movies more.jsonl --mode fill --rejects rejected.txt
  curl -s https://films.example/movies.csv | movieexample import movies - -o json`)
	f.clientFlags = newClientFlags(cmd, client.Metadata)
	cmd.Flags().Var(&f.mode, "mode", "what happens to a movie that is there: replace or fill")
	completeFlag(cmd, "mode", string(modeReplace), string(modeFill))
	cmd.RunE = func(cmd *cobra.Command, args []string) error {
		return f.run(cmd, args[0], func(ctx context.Context, c *client.Client, r io.Reader, opt client.FileOptions) (any, int64, func(io.Writer) error, error) {
			opt.Fill = f.mode == modeFill
			s, err := c.ImportMovies(ctx, r, opt)
			return s, s.Films.Read + s.Rejected, func(w io.Writer) error { return printMoviesImport(w, s) }, err
		})
	}
	return cmd
}

func newImportRatingsCommand() *cobra.Command {
	f := &importFileFlags{}
	cmd := f.command("ratings", importRatingsHelp, `  movieexample import ratings ratings.jsonl
  movieexample import ratings ratings.csv --no-wait -o json
  movieexample export ratings --addresses old.json | movieexample import ratings - --addresses new.json`)
	f.clientFlags = newClientFlags(cmd, client.Rating, client.Kafka)
	cmd.Flags().BoolVar(&f.noWait, "no-wait", false, "return when Kafka has the ratings, before they are in the aggregates")
	addStallFlag(cmd, &f.stall, client.DefaultStallTimeout)
	cmd.RunE = func(cmd *cobra.Command, args []string) error {
		return f.run(cmd, args[0], func(ctx context.Context, c *client.Client, r io.Reader, opt client.FileOptions) (any, int64, func(io.Writer) error, error) {
			opt.NoWait, opt.StallTimeout = f.noWait, f.stall
			s, err := c.ImportRatings(ctx, r, opt)
			return s, s.Ratings.Read + s.Rejected, func(w io.Writer) error { return printRatingsImport(w, s) }, err
		})
	}
	return cmd
}

// command makes what both have in common.
func (f *importFileFlags) command(what, help, examples string) *cobra.Command {
	cmd := &cobra.Command{
		Use:               what + " FILE|-",
		Short:             "Import " + what + " from a CSV or JSON-lines file",
		Long:              help,
		Example:           examples,
		Args:              oneArgument("FILE", `a file of `+what+`, or "-" for standard input`),
		ValidArgsFunction: completeDataFile,
	}
	f.output = newOutputFlag(cmd)
	f.format.add(cmd, "format of the file: csv or jsonl; without it the file's name tells")
	addRejectsFlag(cmd, &f.rejects)
	return cmd
}

// runImport imports r, and returns the summary for JSON, how many rows there were, and how to print it.
type runImport func(ctx context.Context, c *client.Client, r io.Reader, opt client.FileOptions) (summary any, rows int64, text func(io.Writer) error, err error)

func (f *importFileFlags) run(cmd *cobra.Command, file string, run runImport) (err error) {
	if err := checkStall(f.stall); err != nil {
		return err
	}
	opt := client.FileOptions{Name: file}
	src := cmd.InOrStdin()
	if file == "-" {
		opt.Name = "standard input"
	} else {
		opened, size, err := openData(file)
		if err != nil {
			return err
		}
		defer opened.Close() // read only
		src, opt.Size = opened, size
	}
	if opt.Format, src, err = f.format.of(file, src); err != nil {
		return err
	}
	list, err := newRejectList("rejected", f.rejects)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, list.close()) }()
	c, err := f.connect(cmd)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, c.Close()) }()

	view := newProgressView(cmd.ErrOrStderr())
	list.println = view.println
	opt.Progress, opt.Waiting = view.update, view.println
	opt.Rejected = func(bad *formats.RowError) { list.add(bad.Error()) }
	notes := newNoteList(view.println)
	opt.Noted = func(odd *formats.RowError) { notes.add(odd.Error()) }
	summary, rows, text, err := run(cmd.Context(), c, src, opt)
	view.done()
	list.summarize()
	notes.summarize()
	err = usageOfInput(f.explain(err))
	if err != nil && rows == 0 {
		return err // nothing was done
	}
	return reportImport(cmd, *f.output, summary, list.n, err, text)
}

// openData opens a file to be imported.
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

func printMoviesImport(w io.Writer, s client.MoviesSummary) error {
	b := bufio.NewWriter(w)
	fmt.Fprintf(b, "%-9s %s\n", "films", filmsText(s.Films))
	fmt.Fprintf(b, "%-9s %s\n", "rejected", counted(s.Rejected, "row", "rows"))
	if s.Noted > 0 {
		fmt.Fprintf(b, "%-9s %s\n", "noted", counted(s.Noted, "row", "rows"))
	}
	fmt.Fprintf(b, "%-9s %.1f s\n", "took", s.Seconds)
	switch {
	case s.Interrupted:
		fmt.Fprintln(b, "Interrupted. Run it again to complete it.")
	case s.NothingChanged:
		fmt.Fprintln(b, nothingChanged(s.Films, s.Rejected+s.Noted, "every movie was there as it is in the file"))
	}
	return b.Flush()
}

func printRatingsImport(w io.Writer, s client.RatingsSummary) error {
	b := bufio.NewWriter(w)
	row := func(name, format string, args ...any) {
		fmt.Fprintf(b, "%-9s %s\n", name, fmt.Sprintf(format, args...))
	}
	row("ratings", "%s read, %s published", grouped(s.Ratings.Read), grouped(s.Ratings.Published))
	row("rejected", "%s", counted(s.Rejected, "row", "rows"))
	if s.Noted > 0 {
		row("noted", "%s", counted(s.Noted, "row", "rows"))
	}
	if s.Before != nil && s.After != nil {
		row("before", "%s", totalsText(*s.Before))
		row("after", "%s", totalsText(*s.After))
	}
	took := fmt.Sprintf("%.1f s: ratings %.1f s", s.Seconds.Total, s.Seconds.Ratings)
	if s.Waited {
		took += fmt.Sprintf(", until the aggregates had the last rating %.1f s", s.Seconds.Ingest)
	}
	row("took", "%s", took)
	switch {
	case s.Interrupted:
		fmt.Fprintln(b, "Interrupted. Run it again to complete it: what is there already does no harm.")
	case !s.Waited && s.Ratings.Published > 0:
		fmt.Fprintln(b, "The aggregates may not include the last ratings yet.")
	}
	return b.Flush()
}

// formatFlag is the format of a file of ours; empty if it was not given.
type formatFlag formats.Format

func (f *formatFlag) add(cmd *cobra.Command, usage string) {
	cmd.Flags().Var(f, "format", usage)
	completeFlag(cmd, "format", string(formats.CSV), string(formats.JSONL))
}

// of returns the format of what is read: the one given, that of the name, or what it looks like.
func (f formatFlag) of(file string, r io.Reader) (formats.Format, io.Reader, error) {
	if f != "" {
		return formats.Format(f), r, nil
	}
	if named, ok := formats.Named(file); ok {
		return named, r, nil
	}
	format, r, err := formats.Sniff(r)
	if err != nil {
		return "", nil, fmt.Errorf("read %s: %w", file, err)
	}
	return format, r, nil
}

// String, Set and Type make it a flag.
func (f *formatFlag) String() string { return string(*f) }

func (f *formatFlag) Set(s string) error {
	switch v := formats.Format(strings.ToLower(s)); v {
	case formats.CSV, formats.JSONL:
		*f = formatFlag(v)
		return nil
	}
	return fmt.Errorf("must be csv or jsonl, got %q", s)
}

func (f *formatFlag) Type() string { return "FORMAT" }

// modeFlag says what an import does to a movie that is there.
type modeFlag string

const (
	modeReplace modeFlag = "replace"
	modeFill    modeFlag = "fill"
)

// String, Set and Type make it a flag.
func (m *modeFlag) String() string { return string(*m) }

func (m *modeFlag) Set(s string) error {
	switch v := modeFlag(s); v {
	case modeReplace, modeFill:
		*m = v
		return nil
	}
	return fmt.Errorf("must be replace or fill, got %q", s)
}

func (m *modeFlag) Type() string { return "MODE" }

// completeFlag makes shells offer the values of a flag.
func completeFlag(cmd *cobra.Command, flag string, values ...string) {
	if err := cmd.RegisterFlagCompletionFunc(flag, cobra.FixedCompletions(values, cobra.ShellCompDirectiveNoFileComp)); err != nil {
		panic(err) // there is such a flag
	}
}

// completeDataFile makes shells offer files of our formats.
func completeDataFile(_ *cobra.Command, args []string, _ string) ([]string, cobra.ShellCompDirective) {
	if len(args) > 0 {
		return nil, cobra.ShellCompDirectiveNoFileComp
	}
	return []string{"csv", "jsonl", "json"}, cobra.ShellCompDirectiveFilterFileExt
}
