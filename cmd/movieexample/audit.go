package main

import (
	"errors"
	"fmt"
	"io"

	"github.com/spf13/cobra"

	"movieexample.com/client"
)

const auditHelp = `Let the rating service recompute every aggregate from the ratings and compare the two.

It prints the number of aggregates and ratings checked, and every difference. The system may be in use meanwhile.

Exit codes: 0 no difference, 1 differences, 4 the rating service cannot be reached.`

func newAuditCommand() *cobra.Command {
	var f *clientFlags
	cmd := &cobra.Command{
		Use:   "audit",
		Short: "Recompute every aggregate from the ratings and report differences",
		Long:  auditHelp,
		Example: `  movieexample audit
  movieexample audit --rating-addr 127.0.0.1:8082 -o json`,
		Args: noArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			return f.withClient(cmd, func(c *client.Client) error { return audit(cmd, f, c) })
		},
	}
	f = newClientFlags(cmd, client.Rating)
	return cmd
}

// auditResult is what audit prints as JSON.
type auditResult struct {
	client.AuditSummary
	Found []client.Difference `json:"found"`
}

func audit(cmd *cobra.Command, f *clientFlags, c *client.Client) (err error) {
	result := auditResult{Found: []client.Difference{}}
	out := cmd.OutOrStdout()
	result.AuditSummary, err = c.Audit(cmd.Context(), func(d client.Difference) {
		if *f.output == outputJSON {
			result.Found = append(result.Found, d)
			return
		}
		fmt.Fprintf(out, "%s %s: %s is %d, but its ratings give %d\n", d.RecordType, d.RecordID, d.Field, d.Stored, d.Recomputed)
	})
	if err != nil {
		return err
	}
	err = f.print(out, result, func(w io.Writer) error {
		_, err := fmt.Fprintf(w, "%s checked against %s: %s\n", counted(result.Aggregates, "aggregate", "aggregates"),
			counted(result.Ratings, "rating", "ratings"), counted(result.Differences, "difference", "differences"))
		return err
	})
	if err == nil && result.Differences > 0 {
		return &codedError{code: exitFailed, silent: true, err: errors.New("the audit found differences")}
	}
	return err
}
