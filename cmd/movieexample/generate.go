package main

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"strconv"

	"github.com/spf13/cobra"

	"movieexample.com/client"
	"movieexample.com/imdb"
	"movieexample.com/movielens"
)

func newGenerateCommand() *cobra.Command {
	return newGroupCommand("generate", "Generate data for tests", "", "", newGenerateMovieLensCommand(), newGenerateIMDbCommand())
}

const generateMovieLensHelp = `Generate a data set in the format of MovieLens, for scale tests: movies.csv, links.csv and ratings.csv in DIR.

It has the distributions of the real one: the values from 0.5 to 5.0, ratings per user (lognormal, 20 or more), popularity of films
(Zipf). The same flags give the same bytes. No line comes from the original. The ids of films are in ranges that no real film has,
from 90,000,001 up at MovieLens and IMDb, from 900,000,001 up at TMDb, so the set can be imported next to a real one. Users are
numbered from 1, as in a real set: ratings of users with the same number replace each other.`

func newGenerateMovieLensCommand() *cobra.Command {
	var opt movielens.GenerateOptions
	g := &generateFlags{}
	cmd := g.command("movielens", "Generate a data set in the format of MovieLens", generateMovieLensHelp,
		`  movieexample generate movielens --users 610 --ratings 100000 ml-made-up
  movieexample generate movielens --users 160000 --ratings 25000000 --movies 60000 --seed 7 ml-large
  movieexample import movielens ml-made-up`,
		func(ctx context.Context, dir string, progress func(client.Progress)) (map[string]any, string, error) {
			opt := opt
			opt.Seed, opt.Overwrite = g.seed, g.force
			if err := opt.Validate(); err != nil {
				return nil, "", usagef("%w", err)
			}
			opt.Progress = func(n int) {
				progress(client.Progress{Phase: client.PhaseRatings, Rows: int64(n), Done: int64(n), Total: int64(opt.Ratings)})
			}
			made, err := movielens.Generate(ctx, dir, opt)
			return map[string]any{"users": made.Users, "movies": made.Movies, "ratings": made.Ratings},
				fmt.Sprintf("%s by %s of %s", counted(int64(made.Ratings), "rating", "ratings"),
					counted(int64(made.Users), "user", "users"), counted(int64(made.Movies), "film", "films")), err
		})
	flags := cmd.Flags()
	flags.Var(&wholeNumber{&opt.Users, 1}, "users", "number of users, at least 1 (required)")
	flags.Var(&wholeNumber{&opt.Ratings, 20}, "ratings", "number of ratings, at least 20 per user (required)")
	flags.Var(&wholeNumber{&opt.Movies, 0}, "movies", "number of films; 0 means a tenth of the ratings, or as many as the users need")
	mustRequire(cmd, "users", "ratings")
	return cmd
}

const generateIMDbHelp = `Generate files in IMDb's format, for scale tests: title.basics, title.crew, name.basics and title.akas, each .tsv.gz, in DIR.

For 11 titles there are 14 names and some 40 titles in other countries, as at IMDb. Films are 7 of 110 titles unless --kept says
otherwise; the others are episodes and the like, which an import leaves out. The same flags give the same rows. No line comes from
the original. All ids are greater than 800,000,000, so the files can be imported next to real ones.`

func newGenerateIMDbCommand() *cobra.Command {
	var opt imdb.GenerateOptions
	g := &generateFlags{}
	cmd := g.command("imdb", "Generate files in IMDb's format", generateIMDbHelp,
		`  movieexample generate imdb --titles 100000 imdb-made-up
  movieexample generate imdb --titles 11000000 --kept 700000 --seed 7 imdb-large
  movieexample import imdb imdb-made-up`,
		func(ctx context.Context, dir string, progress func(client.Progress)) (map[string]any, string, error) {
			opt := opt
			opt.Seed, opt.Overwrite = g.seed, g.force
			if err := opt.Validate(); err != nil {
				return nil, "", usagef("%w", err)
			}
			opt.Progress = func(n, all int64) { progress(client.Progress{Phase: client.PhaseWrite, Rows: n, Done: n, Total: all}) }
			made, err := imdb.Generate(ctx, dir, opt)
			return map[string]any{"titles": made.Titles, "films": made.Films, "names": made.Names, "akas": made.Akas},
				fmt.Sprintf("%s including %s, %s, %s", counted(int64(made.Titles), "title", "titles"), counted(int64(made.Films), "film", "films"),
					counted(int64(made.Names), "name", "names"), counted(int64(made.Akas), "other title", "other titles")), err
		})
	cmd.Flags().Var(&wholeNumber{&opt.Titles, 1}, "titles", "number of titles, at least 1 (required)")
	cmd.Flags().Var(&wholeNumber{&opt.Films, 0}, "kept", "number of films among the titles, which an import keeps; 0 means 7 of 110")
	mustRequire(cmd, "titles")
	return cmd
}

// generateFlags are the flags that both generators have.
type generateFlags struct {
	seed   uint64
	force  bool
	output *string
}

// generator writes a data set to dir. It returns what it made, for JSON and as text.
type generator func(ctx context.Context, dir string, progress func(client.Progress)) (made map[string]any, text string, err error)

func (g *generateFlags) command(name, short, long, example string, generate generator) *cobra.Command {
	cmd := &cobra.Command{
		Use: name + " DIR", Short: short, Long: long, Example: example,
		Args:              oneArgument("DIR", "the directory to write to"),
		ValidArgsFunction: completeDirectory,
		RunE:              func(cmd *cobra.Command, args []string) error { return g.run(cmd, args[0], generate) },
	}
	cmd.Flags().Uint64Var(&g.seed, "seed", 1, "seed of the random numbers")
	cmd.Flags().BoolVar(&g.force, "force", false, "replace existing files")
	g.output = newOutputFlag(cmd)
	return cmd
}

func (g *generateFlags) run(cmd *cobra.Command, dir string, generate generator) error {
	view := newProgressView(cmd.ErrOrStderr())
	made, text, err := generate(cmd.Context(), dir, view.update)
	view.done()
	switch {
	case errors.Is(err, fs.ErrExist):
		return usagef("%w: name another directory, or replace them with --force", err)
	case isInterrupted(err):
		return &codedError{code: exitInterrupted, err: errors.New("interrupted: nothing was written")}
	case err != nil:
		return err
	}
	if *g.output == outputJSON {
		made["directory"], made["seed"] = dir, g.seed
		return printJSON(cmd.OutOrStdout(), made)
	}
	_, err = fmt.Fprintf(cmd.OutOrStdout(), "%s: %s, seed %d\n", dir, text, g.seed)
	return err
}

// mustRequire marks flags as required.
func mustRequire(cmd *cobra.Command, names ...string) {
	for _, name := range names {
		if err := cmd.MarkFlagRequired(name); err != nil {
			panic(err) // the flag was added by the caller
		}
	}
}

// wholeNumber is a flag that takes whole numbers from a minimum up.
type wholeNumber struct {
	n     *int
	least int
}

// String, Set and Type implement pflag.Value.
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
