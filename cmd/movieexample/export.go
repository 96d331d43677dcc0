package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/signal"
	"path/filepath"
	"syscall"

	"github.com/spf13/cobra"

	"movieexample.com/client"
	"movieexample.com/client/formats"
)

func newExportCommand() *cobra.Command {
	return newGroupCommand("export", "Write the films and ratings of a running system to files", "", "",
		newExportKindCommand("movies", exportMoviesHelp, client.Metadata, (*client.Client).ExportMovies, `  movieexample export movies movies.csv
  movieexample export movies movies.jsonl -o json
  movieexample export movies | jq -r 'select(.year == 1999) | .title'`),
		newExportKindCommand("ratings", exportRatingsHelp, client.Rating, (*client.Client).ExportRatings, `  movieexample export ratings ratings.csv
  movieexample export ratings --record-type movie --format csv > ratings.csv
  movieexample export ratings | movieexample publish - --kafka-brokers kafka-1:9092`),
	)
}

const exportMoviesHelp = `Write all movies to a file, as 'movieexample import movies' reads it; docs/formats.md describes it.

Movies are sorted by title. ` + exportFileHelp

const exportRatingsHelp = `Write all ratings to a file, as 'movieexample import ratings' reads it; docs/formats.md describes it. The lines of a
JSON file are rating events, which 'movieexample publish' takes too.

Ratings are sorted by record type, record and user. ` + exportFileHelp

const exportFileHelp = `Without FILE, or with "-", they go to standard output. --format gives the format, else the file's
name (.csv, .jsonl); the default is JSON lines. The system may be in use meanwhile: what does not change is in the file exactly
once. The summary goes to standard output, or to standard error if the data goes to standard output.

FILE appears, or replaces a file of the same name, only when it is complete. An export that is imported into an empty system and
exported again gives the same bytes.

Exit codes: 0 everything was written, 1 FILE cannot be written, 4 the system cannot be reached, 130 interrupted.`

// exporter is a method of the client that exports everything of one kind.
type exporter func(c *client.Client, ctx context.Context, w io.Writer, opt client.ExportOptions) (client.ExportSummary, error)

func newExportKindCommand(what, help, part string, export exporter, examples string) *cobra.Command {
	var (
		format string
		opt    client.ExportOptions
	)
	cmd := &cobra.Command{
		Use:     what + " [FILE|-]",
		Short:   "Write all " + what + " to a CSV or JSON-lines file",
		Long:    help,
		Example: examples,
		Args: func(cmd *cobra.Command, args []string) error {
			if len(args) > 1 || len(args) == 1 && args[0] == "" {
				return usagef(`give at most one FILE, or "-" for standard output; got %d arguments; see '%s --help'`, len(args), cmd.CommandPath())
			}
			return nil
		},
		ValidArgsFunction: completeDataFile,
	}
	flags := newClientFlags(cmd, part)
	addFormatFlag(cmd, &format)
	if part == client.Rating {
		cmd.Flags().StringVar(&opt.RecordType, "record-type", "", "only ratings of records of this type, such as movie")
	}
	cmd.RunE = func(cmd *cobra.Command, args []string) (err error) {
		file := "-"
		if len(args) > 0 {
			file = args[0]
		}
		opt := opt
		if opt.Format = formats.Format(format); opt.Format == "" {
			opt.Format = formats.JSONL
			if named, ok := formats.Named(file); ok {
				opt.Format = named
			}
		}
		c, err := flags.connect(cmd)
		if err != nil {
			return err
		}
		defer func() { err = errors.Join(err, c.Close()) }()
		to, err := openDestination(file, cmd.OutOrStdout())
		if err != nil {
			return err
		}
		view := newProgressView(cmd.ErrOrStderr())
		opt.Progress = view.update
		summary, err := export(c, cmd.Context(), to, opt)
		view.done()
		if err = to.close(err); err != nil {
			return usageOfInput(flags.explain(err))
		}
		return printExport(cmd, flags, file, what, summary)
	}
	return cmd
}

// printExport prints the summary where the data does not go.
func printExport(cmd *cobra.Command, f *clientFlags, file, what string, s client.ExportSummary) error {
	w := cmd.OutOrStdout()
	if file == "-" {
		file, w = "standard output", cmd.ErrOrStderr()
	}
	return f.print(w, struct {
		File string `json:"file"`
		client.ExportSummary
	}{file, s}, func(w io.Writer) error {
		_, err := fmt.Fprintf(w, "%s: %s, %s, %.1f s\n", file, counted(s.Rows, what[:len(what)-1], what), counted(s.Bytes, "byte", "bytes"), s.Seconds)
		return err
	})
}

// destination is a file that gets its name when it is complete, or something written in place. Its errors name it.
type destination struct {
	name    string // for errors
	w       io.Writer
	file    *os.File // nil for standard output
	partial string   // name of the file until it is complete; empty if it is written in place
	final   string
}

// openDestination opens a file to write to; "-" is standard output.
func openDestination(path string, stdout io.Writer) (*destination, error) {
	// A pipe without a reader is an error with a message, not the silent end of the process.
	signal.Ignore(syscall.SIGPIPE)
	if path == "-" {
		return &destination{name: "standard output", w: stdout}, nil
	}
	d := &destination{name: path, final: path}
	if real, err := filepath.EvalSymlinks(path); err == nil {
		d.final = real // the link stays a link
	}
	mode := os.FileMode(0o644)
	info, err := os.Stat(d.final)
	switch {
	case err == nil && info.IsDir():
		return nil, usagef("%s is a directory; name a file", path)
	case err == nil && !info.Mode().IsRegular(): // a device or a named pipe is not replaced
		if d.file, err = os.OpenFile(d.final, os.O_WRONLY, 0); err != nil {
			return nil, usagef("%w", err)
		}
		d.w = d.file
		return d, nil
	case err == nil:
		mode = info.Mode().Perm()
	}
	d.file, err = os.CreateTemp(filepath.Dir(d.final), "."+filepath.Base(d.final)+".partial-*")
	if err != nil {
		return nil, usagef("%s cannot be written: %w", path, err)
	}
	d.w, d.partial = d.file, d.file.Name()
	if err := d.file.Chmod(mode); err != nil {
		return nil, d.close(err)
	}
	return d, nil
}

func (d *destination) Write(p []byte) (int, error) {
	n, err := d.w.Write(p)
	return n, d.explain(err)
}

func (d *destination) explain(err error) error {
	if errors.Is(err, syscall.EPIPE) {
		return fmt.Errorf("write to %s: the reader closed it before everything was written: %w", d.name, err)
	}
	if err != nil {
		return fmt.Errorf("write to %s: %w; the export is not complete", d.name, err)
	}
	return nil
}

// close completes the file, or removes it if writing failed with err. It returns err, or why the file cannot be completed.
func (d *destination) close(err error) error {
	if d.file == nil {
		return err
	}
	if err == nil && d.partial != "" {
		err = d.explain(d.file.Sync()) // or a crash could keep the name and lose the content
	}
	if closed := d.file.Close(); err == nil {
		err = d.explain(closed)
	}
	if d.partial == "" {
		return err
	}
	if err == nil {
		err = d.explain(os.Rename(d.partial, d.final))
	}
	if err != nil {
		return errors.Join(err, os.Remove(d.partial))
	}
	return nil
}
