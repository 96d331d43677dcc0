package main

import (
	"errors"
	"fmt"
	"io/fs"

	"github.com/spf13/cobra"

	"movieexample.com/client"
	"movieexample.com/imdb"
)

const generateIMDbHelp = `Make up files in IMDb's form, for scale tests: title.basics, title.crew, name.basics and title.akas, each .tsv.gz, in DIR.

To 11 titles there are 14 names and some 40 titles in other countries, as at IMDb. Films are 7 of 110 titles unless --kept says otherwise;
the others are episodes and their like, which an import leaves out. The same flags make the same rows. No line comes from the original.
All ids are greater than 800,000,000, so that the files can be imported beside real ones.`

func newGenerateIMDbCommand() *cobra.Command {
	var opt imdb.GenerateOptions
	var force bool
	cmd := &cobra.Command{
		Use:   "imdb DIR",
		Short: "Make up files in IMDb's form",
		Long:  generateIMDbHelp,
		Example: `  movieexample generate imdb --titles 100000 imdb-made-up
  movieexample generate imdb --titles 11000000 --kept 700000 --seed 7 imdb-large
  movieexample import imdb imdb-made-up`,
		Args:              oneArgument("DIR", "the directory to write to"),
		ValidArgsFunction: completeDirectory,
	}
	output := newOutputFlag(cmd)
	flags := cmd.Flags()
	flags.Var(&wholeNumber{&opt.Titles, 1}, "titles", "number of titles, from 1 up (required)")
	flags.Var(&wholeNumber{&opt.Films, 0}, "kept", "number of films among the titles, which an import keeps; 0 means 7 of 110")
	flags.Uint64Var(&opt.Seed, "seed", 1, "decides everything that is made up")
	flags.BoolVar(&force, "force", false, "replace existing files")
	if err := cmd.MarkFlagRequired("titles"); err != nil {
		panic(err) // there is such a flag
	}
	cmd.RunE = func(cmd *cobra.Command, args []string) error {
		opt := opt
		if err := opt.Validate(); err != nil {
			return usagef("%w", err)
		}
		view := newProgressView(cmd.ErrOrStderr())
		opt.Overwrite = force
		opt.Progress = func(n, all int64) {
			view.update(client.Progress{Phase: client.PhaseWrite, Rows: n, Done: n, Total: all})
		}
		made, err := imdb.Generate(cmd.Context(), args[0], opt)
		view.done()
		switch {
		case errors.Is(err, fs.ErrExist):
			return usagef("%w: name another directory, or replace them with --force", err)
		case isInterrupted(err):
			return &codedError{code: exitInterrupted, err: errors.New("interrupted: nothing was written")}
		case err != nil:
			return err
		}
		if *output == outputJSON {
			return printJSON(cmd.OutOrStdout(), map[string]any{
				"directory": args[0], "titles": made.Titles, "films": made.Films, "names": made.Names, "akas": made.Akas, "seed": opt.Seed,
			})
		}
		_, err = fmt.Fprintf(cmd.OutOrStdout(), "%s: %s with %s among them, %s, %s, seed %d\n", args[0], counted(int64(made.Titles), "title", "titles"),
			counted(int64(made.Films), "film", "films"), counted(int64(made.Names), "name", "names"),
			counted(int64(made.Akas), "other title", "other titles"), opt.Seed)
		return err
	}
	return cmd
}
