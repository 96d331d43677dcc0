package main

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"time"

	"github.com/spf13/cobra"

	"movieexample.com/client"
	"movieexample.com/movielens"
)

func newImportCommand() *cobra.Command {
	cmd := &cobra.Command{
		Use:   "import",
		Short: "Bring films and ratings from elsewhere into a running system",
		Args:  cobra.NoArgs,
		RunE:  func(cmd *cobra.Command, _ []string) error { return cmd.Help() },
	}
	cmd.AddCommand(newImportMovieLensCommand(), newImportIMDbCommand(), newImportMoviesCommand(), newImportRatingsCommand())
	return cmd
}

const importMovieLensHelp = `Import a MovieLens data set (https://grouplens.org/datasets/movielens/) into a running system.

DIR holds movies.csv, links.csv and ratings.csv. Films go to the metadata service: what the catalogue has stays, what it lacks is
filled in. A film's id is its IMDb id (tt0111161) where links.csv gives one, else ml-<movieId>. Ratings go to Kafka as events,
half stars times two, with the time at which the user rated; user ids are those of the file.

The command returns when aggregates and charts include the last rating, or with --no-wait when Kafka has it. It can be
interrupted and repeated at any time: what is there already is not changed.

Rows that cannot go in are listed on standard error with file, line and reason, in the order of the file; the others go in. A film
with an external id that another film of the catalogue has goes in without that id; one whose IMDb id is missing or cannot be read becomes
one with the film that has its MovieLens or TMDb id. A field that cannot be read is left out of its row. Notes say so.

Exit codes: 0 all rows went in, 3 some were rejected, 4 the system cannot be reached or ingestion stands still, 130 interrupted.`

// shownRejects is how many rejected rows are listed on standard error.
const shownRejects = 100

type importFlags struct {
	*clientFlags
	output  *outputFlag
	noWait  bool
	stall   time.Duration
	rejects string
}

func newImportMovieLensCommand() *cobra.Command {
	f := &importFlags{}
	cmd := &cobra.Command{
		Use:   "movielens DIR",
		Short: "Import a MovieLens data set",
		Long:  importMovieLensHelp,
		Example: `  movieexample import movielens ml-latest-small
  movieexample import movielens ml-latest-small -o json --rejects rejected.txt
  movieexample import movielens ml-25m --addresses addresses.json --no-wait`,
		Args:              oneArgument("DIR", "the directory with movies.csv, links.csv and ratings.csv"),
		ValidArgsFunction: completeDirectory,
		RunE:              func(cmd *cobra.Command, args []string) error { return f.run(cmd, args[0]) },
	}
	f.clientFlags = newClientFlags(cmd, client.Metadata, client.Rating, client.Kafka)
	f.output = newOutputFlag(cmd)
	cmd.Flags().BoolVar(&f.noWait, "no-wait", false, "return when Kafka has the ratings, before they are in the aggregates")
	addRejectsFlag(cmd, &f.rejects)
	addStallFlag(cmd, &f.stall, client.DefaultStallTimeout)
	return cmd
}

// addStallFlag adds the flag for how long nothing may move.
func addStallFlag(cmd *cobra.Command, d *time.Duration, def time.Duration) {
	cmd.Flags().DurationVar(d, "stall-timeout", def, "give up when nothing has moved for this long")
}

// checkStall refuses a time that would give up at once.
func checkStall(d time.Duration) error {
	if d < 100*time.Millisecond {
		return usagef("--stall-timeout must be at least 100ms, got %s", d)
	}
	return nil
}

// oneArgument wants exactly one argument and says what it is.
func oneArgument(name, what string) cobra.PositionalArgs {
	return func(cmd *cobra.Command, args []string) error {
		if len(args) != 1 || args[0] == "" {
			return usagef("give one %s, %s; got %d arguments; see '%s --help'", name, what, len(args), cmd.CommandPath())
		}
		return nil
	}
}

func (f *importFlags) run(cmd *cobra.Command, dir string) (err error) {
	if err := checkStall(f.stall); err != nil {
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
	notes := newNoteList(view.println)
	summary, err := c.ImportMovieLens(cmd.Context(), dir, client.ImportOptions{
		NoWait: f.noWait, StallTimeout: f.stall, Progress: view.update,
		Waiting:  view.println,
		Rejected: func(bad *movielens.RowError) { list.add(bad.Error()) },
		Noted:    func(odd *movielens.RowError) { notes.add(odd.Error()) },
	})
	view.done()
	list.summarize()
	notes.summarize()
	return f.report(cmd, summary, err)
}

// report prints what the import did, and turns it into an exit code.
func (f *importFlags) report(cmd *cobra.Command, s client.ImportSummary, err error) error {
	if err = usageOfInput(f.explain(err)); err != nil && s.Films.Read == 0 {
		return err // nothing was done
	}
	return reportImport(cmd, *f.output, s, s.Rejected, err, func(w io.Writer) error { return printImport(w, s) })
}

func printImport(w io.Writer, s client.ImportSummary) error {
	b := bufio.NewWriter(w)
	row := func(name, format string, args ...any) {
		fmt.Fprintf(b, "%-9s %s\n", name, fmt.Sprintf(format, args...))
	}
	row("films", "%s", filmsText(s.Films))
	row("ratings", "%s read, %s published", grouped(s.Ratings.Read), grouped(s.Ratings.Published))
	row("rejected", "%s", counted(s.Rejected, "row", "rows"))
	if s.Noted > 0 {
		row("noted", "%s", counted(s.Noted, "row", "rows"))
	}
	if s.Before != nil && s.After != nil {
		row("before", "%s", totalsText(*s.Before))
		row("after", "%s", totalsText(*s.After))
	}
	took := fmt.Sprintf("%.1f s: films %.1f s, ratings %.1f s", s.Seconds.Total, s.Seconds.Films, s.Seconds.Ratings)
	if s.Waited {
		took += fmt.Sprintf(", until the aggregates had the last rating %.1f s", s.Seconds.Ingest)
	}
	row("took", "%s", took)
	switch {
	case s.Interrupted:
		fmt.Fprintln(b, "Interrupted. Run it again to complete it: what is there already does no harm.")
	case s.NothingChanged:
		fmt.Fprintln(b, nothingChanged(s.Films, s.Rejected+s.Noted, "every film was there as it is in the files, and rated films, number of ratings and their sum are the same before and after"))
	case !s.Waited && s.Ratings.Published > 0:
		fmt.Fprintln(b, "The aggregates may not include the last ratings yet.")
	}
	return b.Flush()
}

// nothingChanged says that an import has changed nothing, and the reason only if it is true of every row.
func nothingChanged(films client.FilmCounts, odd int64, reason string) string {
	switch {
	case films.Read == 0 && odd == 0:
		return "Nothing changed: there is no row of a film."
	case films.Unchanged == 0:
		return "Nothing changed: no row went in."
	case odd > 0:
		return fmt.Sprintf("Nothing changed: %s there already. That says nothing of the %s above.", counted(films.Unchanged, "film was", "films were"), counted(odd, "row that was rejected or noted", "rows that were rejected or noted"))
	}
	return "Nothing changed: " + reason + "."
}

func totalsText(t client.Totals) string {
	return fmt.Sprintf("%s of %s, sum %s, mean %.7f", counted(t.Ratings, "rating", "ratings"), counted(t.Records, "film", "films"), grouped(t.Sum), t.GlobalMean)
}

// rejectList lists what was rejected: the first on standard error, all in a file if that is wanted.
type rejectList struct {
	word    string // what is said of a row or event: "rejected"
	hint    string // where the others are; empty: in a file if one is given
	println func(string)
	file    *os.File
	w       *bufio.Writer
	n       int64
}

func newRejectList(word, path string) (*rejectList, error) {
	l := &rejectList{word: word}
	if path == "" {
		return l, nil
	}
	file, err := os.Create(path)
	if err != nil {
		return nil, usagef("--rejects: %w", err)
	}
	l.file, l.w = file, bufio.NewWriter(file)
	return l, nil
}

// newNoteList is for notes: rows that went in, but not wholly.
func newNoteList(println func(string)) *rejectList {
	return &rejectList{word: "note", hint: "a file with fewer of them shows all", println: println}
}

func (l *rejectList) add(text string) {
	if l.n++; l.n <= shownRejects {
		l.println(l.word + ": " + text)
	}
	if l.w != nil {
		fmt.Fprintln(l.w, text) // a failure shows in close
	}
}

// summarize says what was not listed.
func (l *rejectList) summarize() {
	more := l.n - shownRejects
	if more <= 0 {
		return
	}
	where := "--rejects FILE writes all of them to a file"
	if l.hint != "" {
		where = l.hint
	}
	if l.file != nil {
		where = "all of them are in " + l.file.Name()
	}
	l.println(fmt.Sprintf("%s: … and %s more; %s", l.word, grouped(more), where))
}

func (l *rejectList) close() error {
	if l.file == nil {
		return nil
	}
	if err := errors.Join(l.w.Flush(), l.file.Close()); err != nil {
		return fmt.Errorf("--rejects: %w", err)
	}
	return nil
}

// isInterrupted reports whether a command ended because its user wanted it to.
func isInterrupted(err error) bool { return errors.Is(err, context.Canceled) }
