package main

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"time"

	"github.com/spf13/cobra"

	"movieexample.com/client"
)

// importFlags are the flags of all imports. Those of ratings have noWait and stall, too.
type importFlags struct {
	*clientFlags
	rejects string
	noWait  bool
	stall   time.Duration
}

// add adds the flags that all imports have. parts are the parts of the system that the import talks to.
func (f *importFlags) add(cmd *cobra.Command, parts ...string) {
	f.clientFlags = newClientFlags(cmd, parts...)
	cmd.Flags().StringVar(&f.rejects, "rejects", "", "write every rejected row to this file; standard error lists the first 100")
}

// addWaiting adds the flags of imports that wait for the ingestion of ratings.
func (f *importFlags) addWaiting(cmd *cobra.Command) {
	cmd.Flags().BoolVar(&f.noWait, "no-wait", false, "return when Kafka has the ratings, before the aggregates include them")
	addStallFlag(cmd, &f.stall, client.DefaultStallTimeout)
}

// importView shows an import while it runs.
type importView struct {
	*progressView
	rejected, noted *rejectList
}

// imported is the result of an import.
type imported struct {
	summary  any   // for JSON
	rows     int64 // read, rejected ones included
	rejected int64
	text     func(summary)
}

// run connects, imports, prints the summary and turns it into an exit code.
func (f *importFlags) run(cmd *cobra.Command, do func(context.Context, *client.Client, importView) (imported, error)) (err error) {
	rejected, err := newRejectList("rejected", f.rejects)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, rejected.close()) }()
	c, err := f.connect(cmd)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, c.Close()) }()

	view := importView{newProgressView(cmd.ErrOrStderr()), rejected, nil}
	rejected.println = view.println
	view.noted = newNoteList(view.println)
	result, err := do(cmd.Context(), c, view)
	view.done()
	view.rejected.summarize()
	view.noted.summarize()
	if err = usageOfInput(f.explain(err)); err != nil && result.rows == 0 {
		return err // nothing was done
	}
	printErr := f.print(cmd.OutOrStdout(), result.summary, func(w io.Writer) error {
		b := summary{bufio.NewWriter(w)}
		result.text(b)
		return b.Flush()
	})
	switch {
	case err != nil:
		return err
	case printErr != nil:
		return printErr
	case result.rejected > 0:
		return &codedError{code: exitRefused, silent: true, err: fmt.Errorf("%s rejected", counted(result.rejected, "row was", "rows were"))}
	}
	return nil
}

// oddRows writes how many rows were rejected or noted.
func (s summary) oddRows(rejected, noted int64) {
	s.row("rejected", "%s", counted(rejected, "row", "rows"))
	if noted > 0 {
		s.row("noted", "%s", counted(noted, "row", "rows"))
	}
}

// films writes what became of films.
func (s summary) films(n client.FilmCounts) {
	text := fmt.Sprintf("%s read: %s created, %s updated, %s unchanged", grouped(n.Read), grouped(n.Created), grouped(n.Updated), grouped(n.Unchanged))
	if n.Refused > 0 {
		text += fmt.Sprintf(", %s refused", grouped(n.Refused))
	}
	s.row("films", "%s", text)
}

// totals writes the totals over all ratings before and after an import.
func (s summary) totals(before, after *client.Totals) {
	if before == nil || after == nil {
		return
	}
	text := func(t client.Totals) string {
		return fmt.Sprintf("%s of %s, sum %s, mean %.7f", counted(t.Ratings, "rating", "ratings"), counted(t.Records, "film", "films"), grouped(t.Sum), t.GlobalMean)
	}
	s.row("before", "%s", text(*before))
	s.row("after", "%s", text(*after))
}

// duration writes how long an import took: in all, its parts, and until the aggregates had the last rating if it waited for that.
func (s summary) duration(seconds client.Seconds, parts string, waited bool) {
	text := fmt.Sprintf("%.1f s: %s", seconds.Total, parts)
	if waited {
		text += fmt.Sprintf(", until the aggregates had the last rating %.1f s", seconds.Ingest)
	}
	s.row("took", "%s", text)
}

// end writes the last line of an import: how to finish one that was interrupted, else last.
func (s summary) end(interrupted bool, last string) {
	if interrupted {
		last = "Interrupted. Run it again to complete it: rows that went in already are not changed."
	}
	if last != "" {
		fmt.Fprintln(s, last)
	}
}

// mayLag is the last line of an import of ratings that did not wait for their ingestion.
func mayLag(waited bool, published int64) string {
	if waited || published == 0 {
		return ""
	}
	return "The aggregates may not include the last ratings yet."
}

// nothingChanged says that an import changed nothing. It gives the reason only if it holds for every row.
func nothingChanged(films client.FilmCounts, odd int64, reason string) string {
	switch {
	case films.Read == 0 && odd == 0:
		return "Nothing changed: the file has no rows."
	case films.Unchanged == 0:
		return "Nothing changed: no row went in."
	case odd > 0:
		return fmt.Sprintf("Nothing changed: %s there already. This does not include the %s above.", counted(films.Unchanged, "film was", "films were"), counted(odd, "row that was rejected or noted", "rows that were rejected or noted"))
	}
	return "Nothing changed: " + reason + "."
}

// addStallFlag adds --stall-timeout.
func addStallFlag(cmd *cobra.Command, d *time.Duration, def time.Duration) {
	cmd.Flags().DurationVar(d, "stall-timeout", def, "give up after this long without progress")
}

// checkStall refuses a timeout that would always expire.
func checkStall(d time.Duration) error {
	if d < 100*time.Millisecond {
		return usagef("--stall-timeout must be at least 100ms, got %s", d)
	}
	return nil
}

// completeDirectory makes shells complete directories.
func completeDirectory(_ *cobra.Command, args []string, _ string) ([]string, cobra.ShellCompDirective) {
	if len(args) > 0 {
		return nil, cobra.ShellCompDirectiveNoFileComp
	}
	return nil, cobra.ShellCompDirectiveFilterDirs
}
