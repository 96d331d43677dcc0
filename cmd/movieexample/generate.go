package main

import (
	"errors"
	"fmt"
	"io/fs"
	"strconv"

	"github.com/spf13/cobra"

	"movieexample.com/client"
	"movieexample.com/movielens"
)

func newGenerateCommand() *cobra.Command {
	cmd := &cobra.Command{
		Use:   "generate",
		Short: "Make up data for tests",
		Args:  cobra.NoArgs,
		RunE:  func(cmd *cobra.Command, _ []string) error { return cmd.Help() },
	}
	cmd.AddCommand(newGenerateMovieLensCommand(), newGenerateIMDbCommand())
	return cmd
}

const generateMovieLensHelp = `Make up a data set in the format of MovieLens, for scale tests: movies.csv, links.csv and ratings.csv in DIR.

Its shape is that of the real one: how often each of the values 0.5 to 5.0 occurs, how many ratings a user has (lognormal, from
20 up), how popular films are (Zipf). The same flags give the same bytes. No line comes from the original. The films' ids are in
ranges that no real film has, from 90,000,001 up at MovieLens and IMDb, from 900,000,001 up at TMDb, so that the set can be imported
beside a real one. Users are numbered from 1, as in a real one: the ratings of users with the same number meet.`

func newGenerateMovieLensCommand() *cobra.Command {
	var opt movielens.GenerateOptions
	var force bool
	output := new(outputFlag)
	cmd := &cobra.Command{
		Use:   "movielens DIR",
		Short: "Make up a data set in the format of MovieLens",
		Long:  generateMovieLensHelp,
		Example: `  movieexample generate movielens --users 610 --ratings 100000 ml-made-up
  movieexample generate movielens --users 160000 --ratings 25000000 --movies 60000 --seed 7 ml-large
  movieexample import movielens ml-made-up`,
		Args:              oneArgument("DIR", "the directory to write to"),
		ValidArgsFunction: completeDirectory,
	}
	output = newOutputFlag(cmd)
	flags := cmd.Flags()
	flags.Var(&wholeNumber{&opt.Users, 1}, "users", "number of users, from 1 up (required)")
	flags.Var(&wholeNumber{&opt.Ratings, 20}, "ratings", "number of ratings, at least 20 for each user (required)")
	flags.Var(&wholeNumber{&opt.Movies, 0}, "movies", "number of films; 0 means a tenth of the ratings, or as many as the users need")
	flags.Uint64Var(&opt.Seed, "seed", 1, "decides everything that is made up")
	flags.BoolVar(&force, "force", false, "replace existing files")
	for _, name := range []string{"users", "ratings"} {
		if err := cmd.MarkFlagRequired(name); err != nil {
			panic(err) // there is such a flag
		}
	}
	cmd.RunE = func(cmd *cobra.Command, args []string) error {
		opt := opt
		if err := opt.Validate(); err != nil {
			return usagef("%w", err)
		}
		view := newProgressView(cmd.ErrOrStderr())
		opt.Overwrite = force
		opt.Progress = func(n int) {
			view.update(client.Progress{Phase: client.PhaseRatings, Rows: int64(n), Done: int64(n), Total: int64(opt.Ratings)})
		}
		made, err := movielens.Generate(cmd.Context(), args[0], opt)
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
				"directory": args[0], "users": made.Users, "movies": made.Movies, "ratings": made.Ratings, "seed": opt.Seed,
			})
		}
		_, err = fmt.Fprintf(cmd.OutOrStdout(), "%s: %s by %s of %s, seed %d\n", args[0], counted(int64(made.Ratings), "rating", "ratings"),
			counted(int64(made.Users), "user", "users"), counted(int64(made.Movies), "film", "films"), opt.Seed)
		return err
	}
	return cmd
}

// wholeNumber is a flag that takes whole numbers from a least one up.
type wholeNumber struct {
	n     *int
	least int
}

// String, Set and Type make it a flag.
func (w *wholeNumber) String() string {
	if w.n == nil {
		return "0"
	}
	return strconv.Itoa(*w.n)
}

func (w *wholeNumber) Set(s string) error {
	n, err := strconv.Atoi(s)
	if err != nil || n < w.least {
		return fmt.Errorf("must be a whole number of at least %d, got %q", w.least, s)
	}
	*w.n = n
	return nil
}

func (w *wholeNumber) Type() string { return "N" }
