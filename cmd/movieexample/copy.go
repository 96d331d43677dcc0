package main

import (
	"cmp"
	"errors"
	"fmt"
	"io"
	"text/tabwriter"
	"time"

	"github.com/spf13/cobra"

	"movieexample.com/app"
	"movieexample.com/client"
	"movieexample.com/internal/config"
	"movieexample.com/internal/sqlcopy"
	"movieexample.com/internal/sqldb"
	"movieexample.com/internal/telemetry"
)

const copyHelp = `Copy the data of a service into another, empty database, and verify the copy.

Use it to move from SQLite files to MySQL, and back. Each service has its own database, so copy two databases for a whole
system. The tables show which service it is. The target gets the newest schema first.

Stop the service first: nothing may write to either database during the copy. An SQLite file that is in use is refused, and
a write to the source is detected.

You can interrupt or kill the copy at any time. Run the same command again to resume it. No service starts on the target
until the copy is complete. At the end every row of both sides is read again: counts and checksums of all tables must be
equal, and the audits of both sides must find no difference. The positions of ingestion are part of the data, so ingestion
resumes where it stopped.

Every user of the machine can read a password on a command line. Put the URL into a file and name it with --from-file or
--to-file.

Exit codes: 0 copied and verified, 1 failed or different, 2 wrong usage, 4 a database server cannot be reached.`

type copyFlags struct {
	from, fromFile, to, toFile string
	startOver                  bool
	output                     *string
}

func newCopyCommand() *cobra.Command {
	f := &copyFlags{}
	cmd := &cobra.Command{
		Use:   "copy --from URL --to URL",
		Short: "Copy the data of a service into another database, and verify the copy",
		Long:  copyHelp,
		Example: `  movieexample copy --from sqlite:/var/lib/movieexample/rating/rating.db --to-file /run/secrets/rating-url
  movieexample copy --from sqlite:metadata.db --to mysql://metadata:…@db.example:3306/metadata
  movieexample copy --from-file /run/secrets/rating-url --to sqlite:./data/rating/rating.db`,
		Args: noArgs,
		RunE: func(cmd *cobra.Command, _ []string) error { return f.run(cmd) },
	}
	cmd.Flags().StringVar(&f.from, "from", "", "the database to copy: sqlite:FILE or mysql://user:password@host:port/name")
	cmd.Flags().StringVar(&f.fromFile, "from-file", "", "file with the URL of the database to copy; trailing newlines are ignored")
	cmd.Flags().StringVar(&f.to, "to", "", "the empty database to copy to: sqlite:FILE or mysql://user:password@host:port/name")
	cmd.Flags().StringVar(&f.toFile, "to-file", "", "file with the URL of the database to copy to; trailing newlines are ignored")
	cmd.Flags().BoolVar(&f.startOver, "start-over", false, "delete what an unfinished copy wrote to the target, and start over")
	for _, name := range []string{"from-file", "to-file"} {
		if err := cmd.MarkFlagFilename(name); err != nil {
			panic(err) // the flag was added above
		}
	}
	f.output = newOutputFlag(cmd)
	return cmd
}

// databaseURL returns the URL that one of two flags gives. Errors show neither the URL nor the content of the file, which may have a
// password.
func databaseURL(name, url, file string) (string, error) {
	given := "--" + name
	switch {
	case url != "" && file != "":
		return "", usagef("give --%[1]s or --%[1]s-file, not both", name)
	case url == "" && file == "":
		return "", usagef("name the database with --%[1]s or --%[1]s-file; see 'movieexample copy --help'", name)
	case file != "":
		given += "-file"
		text, err := config.ReadSecret(file)
		if err != nil {
			return "", usagef("%s: %w", given, err)
		}
		url = text
	}
	if err := sqldb.CheckURL(url); err != nil {
		return "", usagef("%s: %w", given, err)
	}
	return url, nil
}

func (f *copyFlags) run(cmd *cobra.Command) error {
	from, fromErr := databaseURL("from", f.from, f.fromFile)
	to, toErr := databaseURL("to", f.to, f.toFile)
	if err := cmp.Or(fromErr, toErr); err != nil {
		return err
	}
	log := telemetry.DefaultLogConfig()
	log.Level = "warn" // progress and result are printed
	logger, err := telemetry.NewLogger(cmd.ErrOrStderr(), log)
	if err != nil {
		return err
	}
	view, began := newProgressView(cmd.ErrOrStderr()), time.Now()
	result, err := app.Copy(cmd.Context(), app.CopyOptions{
		From: from, To: to, StartOver: f.startOver, Logger: logger,
		Progress: func(p sqlcopy.Progress) {
			phase := client.PhaseCopy
			if p.Verifying {
				phase = client.PhaseVerify
			}
			view.update(client.Progress{Phase: phase, Rows: p.Rows, Done: p.Rows, Total: p.Total})
		},
	})
	view.done()
	if err != nil && result.Tables == nil {
		if sqldb.Unreachable(err) {
			return &codedError{code: exitUnreachable, err: err}
		}
		return err
	}
	return errors.Join(f.print(cmd.OutOrStdout(), result, err, time.Since(began)), err)
}

// copiedTable is a table in the JSON of a copy.
type copiedTable struct {
	Table          string `json:"table"`
	SourceRows     int64  `json:"sourceRows"`
	TargetRows     int64  `json:"targetRows"`
	SourceChecksum string `json:"sourceChecksum"`
	TargetChecksum string `json:"targetChecksum"`
	Same           bool   `json:"same"`
}

func (f *copyFlags) print(w io.Writer, r app.CopyResult, failed error, took time.Duration) error {
	if *f.output == outputJSON {
		var tables []copiedTable
		for _, t := range r.Tables {
			tables = append(tables, copiedTable{t.Table, t.Source.Rows, t.Target.Rows, t.Source.Checksum.String(), t.Target.Checksum.String(), t.Same()})
		}
		return printJSON(w, struct {
			Service   string        `json:"service"`
			From      string        `json:"from"`
			To        string        `json:"to"`
			Resumed   bool          `json:"resumed"`
			Done      bool          `json:"done"`
			Tables    []copiedTable `json:"tables"`
			Audited   int64         `json:"audited"`
			Positions int64         `json:"positions"`
			Seconds   float64       `json:"seconds"`
		}{r.Service, r.From, r.To, r.Resumed, failed == nil, tables, r.Audited, r.Rows("ingest_offsets"), took.Seconds()})
	}
	fmt.Fprintf(w, "%s: %s -> %s\n\n", r.Service, r.From, r.To)
	const short = 16 // digits of a checksum
	table := tabwriter.NewWriter(w, 0, 0, 2, ' ', 0)
	fmt.Fprintln(table, "TABLE\tROWS\tCHECKSUM\tBOTH SIDES")
	for _, t := range r.Tables {
		state := "same"
		if !t.Same() {
			state = fmt.Sprintf("DIFFERENT: the target has %s, %s; copied were %s", counted(t.Target.Rows, "row", "rows"),
				t.Target.Checksum.String()[:short], counted(t.Copied.Rows, "row", "rows"))
		}
		fmt.Fprintf(table, "%s\t%s\t%s\t%s\n", t.Table, grouped(t.Source.Rows), t.Source.Checksum.String()[:short], state)
	}
	if err := table.Flush(); err != nil || failed != nil {
		return err
	}
	what := counted(r.Audited, "aggregate", "aggregates")
	if r.Service == "metadata" {
		what = counted(r.Audited, "film", "films")
	}
	fmt.Fprintf(w, "\naudit of %s on both sides: 0 differences\n", what)
	if n := r.Rows("ingest_offsets"); n > 0 {
		fmt.Fprintf(w, `%s in Kafka's log copied: with the same Kafka, ingestion resumes where it stopped. With another one, its partitions
are halted until 'movieexample ingestion resume' sets where they start.
`, counted(n, "position", "positions"))
	}
	_, err := fmt.Fprintf(w, "next: start the %s service on the new database; the old one is unchanged\n", r.Service)
	return err
}
