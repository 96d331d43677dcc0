package main

import (
	"bufio"
	"errors"
	"fmt"
	"io"
	"maps"
	"slices"

	"github.com/spf13/cobra"

	"movieexample.com/client"
	"movieexample.com/imdb"
)

const importIMDbHelp = `Import films from the files that IMDb publishes for non-commercial use (https://developer.imdb.com/non-commercial-datasets/).

DIR holds, packed (.gz) or unpacked:
  title.basics.tsv  titles, years, lengths and genres; required
  title.crew.tsv    who directed, by id
  name.basics.tsv   the names of those ids
  title.akas.tsv    titles in other countries
Without a file, films go in without what it has to say, and a note says so.

Movies and TV movies go to the metadata service; adult titles, series, episodes and all others stay out. A film's id is its IMDb id. A
film that the catalogue has, by its IMDb id, gets the title, original title, year, running time and director of these files: there IMDb
knows best. All else stays, lists of genres and titles are united, and a title that is replaced stays as an alternative one. So it
does not matter whether this or another import comes first.

Memory does not grow with the files. Of all of IMDb, 75 million rows, some 300 MB of temporary files are written, to the directory
that TMPDIR names; they are gone when the command ends, however it ends. It can be interrupted and repeated at any time.

Rows that cannot go in are listed on standard error with file, line and reason; the others go in. A film goes in without what the
catalogue cannot take (a year beyond 2100, more than 6,000 minutes, more directors than 500 characters hold) or nobody can read, and a
note says so.

Exit codes: 0 all rows went in, 3 some were rejected, 4 the system cannot be reached, 130 interrupted.`

type importIMDbFlags struct {
	*clientFlags
	output  *outputFlag
	rejects string
}

func newImportIMDbCommand() *cobra.Command {
	f := &importIMDbFlags{}
	cmd := &cobra.Command{
		Use:   "imdb DIR",
		Short: "Import films from IMDb's files",
		Long:  importIMDbHelp,
		Example: `  movieexample import imdb imdb-files
  movieexample import imdb imdb-files -o json --rejects rejected.txt
  TMPDIR=/var/tmp movieexample import imdb imdb-files --addresses addresses.json`,
		Args:              oneArgument("DIR", "the directory with title.basics.tsv.gz and its like"),
		ValidArgsFunction: completeDirectory,
		RunE:              func(cmd *cobra.Command, args []string) error { return f.run(cmd, args[0]) },
	}
	f.clientFlags = newClientFlags(cmd, client.Metadata)
	f.output = newOutputFlag(cmd)
	addRejectsFlag(cmd, &f.rejects)
	return cmd
}

// addRejectsFlag adds the flag for the list of what did not go in.
func addRejectsFlag(cmd *cobra.Command, file *string) {
	cmd.Flags().StringVar(file, "rejects", "", "write every rejected row to this file; standard error lists the first 100")
}

func (f *importIMDbFlags) run(cmd *cobra.Command, dir string) (err error) {
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
	summary, err := c.ImportIMDb(cmd.Context(), dir, client.IMDbOptions{
		Progress: view.update,
		Lacking:  func(text string) { view.println("note: " + text) },
		Rejected: func(bad *imdb.RowError) { list.add(bad.Error()) },
		Noted:    func(odd *imdb.RowError) { notes.add(odd.Error()) },
	})
	view.done()
	list.summarize()
	notes.summarize()
	err = usageOfInput(f.explain(err))
	if err != nil && len(summary.Rows) == 0 {
		return err // nothing was read
	}
	return reportImport(cmd, *f.output, summary, summary.Rejected, err, func(w io.Writer) error { return printIMDbImport(w, summary) })
}

// reportImport prints what an import did, and turns it into an exit code.
func reportImport(cmd *cobra.Command, output outputFlag, summary any, rejected int64, err error, text func(io.Writer) error) error {
	var printErr error
	if output == outputJSON {
		printErr = printJSON(cmd.OutOrStdout(), summary)
	} else {
		printErr = text(cmd.OutOrStdout())
	}
	switch {
	case err != nil:
		return err
	case printErr != nil:
		return printErr
	case rejected > 0:
		return &codedError{code: exitRefused, silent: true, err: fmt.Errorf("%s rejected", counted(rejected, "row was", "rows were"))}
	}
	return nil
}

func printIMDbImport(w io.Writer, s client.IMDbSummary) error {
	b := bufio.NewWriter(w)
	row := func(name, format string, args ...any) {
		fmt.Fprintf(b, "%-9s %s\n", name, fmt.Sprintf(format, args...))
	}
	var rows int64
	for _, name := range slices.Sorted(maps.Keys(s.Rows)) {
		row("rows", "%s in %s", grouped(s.Rows[name]), name)
		rows += s.Rows[name]
	}
	row("left out", "%s that are no films, %s", counted(s.OtherTypes, "title", "titles"), counted(s.Adult, "adult title", "adult titles"))
	row("films", "%s", filmsText(s.Films))
	if s.UnknownDirectors > 0 {
		row("directors", "%s without a name", counted(s.UnknownDirectors, "director is", "directors are"))
	}
	row("rejected", "%s", counted(s.Rejected, "row", "rows"))
	if s.Noted > 0 {
		row("noted", "%s", counted(s.Noted, "row", "rows"))
	}
	took := fmt.Sprintf("%.1f s: files %.1f s, films %.1f s", s.Seconds.Total, s.Seconds.Read, s.Seconds.Films)
	if s.Seconds.Total > 0 {
		took += fmt.Sprintf("; %s rows/s over all", grouped(int64(float64(rows)/s.Seconds.Total)))
	}
	row("took", "%s", took)
	switch {
	case s.Interrupted:
		fmt.Fprintln(b, "Interrupted. Run it again to complete it: what is there already does no harm.")
	case s.NothingChanged:
		fmt.Fprintln(b, nothingChanged(s.Films, s.Rejected+s.Noted, "every film was there as it is in the files"))
	}
	return b.Flush()
}

// filmsText is what became of films.
func filmsText(n client.FilmCounts) string {
	text := fmt.Sprintf("%s read: %s created, %s updated, %s unchanged", grouped(n.Read), grouped(n.Created), grouped(n.Updated), grouped(n.Unchanged))
	if n.Refused > 0 {
		text += fmt.Sprintf(", %s refused", grouped(n.Refused))
	}
	return text
}

// completeDirectory makes shells offer directories for an argument.
func completeDirectory(_ *cobra.Command, args []string, _ string) ([]string, cobra.ShellCompDirective) {
	if len(args) > 0 {
		return nil, cobra.ShellCompDirectiveNoFileComp
	}
	return nil, cobra.ShellCompDirectiveFilterDirs
}
