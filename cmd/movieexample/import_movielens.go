package main

import (
	"context"
	"fmt"

	"github.com/spf13/cobra"

	"movieexample.com/client"
	"movieexample.com/movielens"
)

const importMovieLensHelp = `Import a MovieLens data set (https://grouplens.org/datasets/movielens/) into a running system.

DIR holds movies.csv, links.csv and ratings.csv. Films go to the metadata service. The import fills in what the catalogue lacks
and changes nothing else. A film's id is its IMDb id (tt0111161) if links.csv gives one, else ml-<movieId>. Ratings go to Kafka as
events, half stars times two, with the time at which the user rated. User ids are those of the file.

The command returns when aggregates and charts include the last rating, or with --no-wait when Kafka has it. You can interrupt
and repeat it at any time: rows that went in already are not changed.

Rejected rows are listed on standard error with file, line and reason, in the order of the file; the others go in. If another
film of the catalogue has an external id, the film goes in without that id. A film whose IMDb id is missing or malformed is
merged with the film that has its MovieLens or TMDb id. A malformed field is left out of its row. Notes tell of all three.

Exit codes: 0 all rows went in, 3 some were rejected, 4 the system cannot be reached or a partition is halted, 130 interrupted.`

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
		RunE: func(cmd *cobra.Command, args []string) error {
			if err := checkStall(f.stall); err != nil {
				return err
			}
			return f.run(cmd, func(ctx context.Context, c *client.Client, v importView) (imported, error) {
				s, err := c.ImportMovieLens(ctx, args[0], client.ImportOptions{
					NoWait: f.noWait, StallTimeout: f.stall, Progress: v.update,
					Waiting:  v.println,
					Rejected: func(bad *movielens.RowError) { v.rejected.add(bad.Error()) },
					Noted:    func(odd *movielens.RowError) { v.noted.add(odd.Error()) },
				})
				return imported{s, s.Films.Read, s.Rejected, func(b summary) { printMovieLensImport(b, s) }}, err
			})
		},
	}
	f.add(cmd, client.Metadata, client.Rating, client.Kafka)
	f.addWaiting(cmd)
	return cmd
}

func printMovieLensImport(b summary, s client.ImportSummary) {
	b.films(s.Films)
	b.row("ratings", "%s read, %s published", grouped(s.Ratings.Read), grouped(s.Ratings.Published))
	b.oddRows(s.Rejected, s.Noted)
	b.totals(s.Before, s.After)
	b.duration(s.Seconds, fmt.Sprintf("films %.1f s, ratings %.1f s", s.Seconds.Films, s.Seconds.Ratings), s.Waited)
	last := mayLag(s.Waited, s.Ratings.Published)
	if s.NothingChanged {
		last = nothingChanged(s.Films, s.Rejected+s.Noted, "every film was there as it is in the files, and rated films, number of ratings and their sum are the same before and after")
	}
	b.end(s.Interrupted, last)
}
