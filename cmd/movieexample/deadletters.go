package main

import (
	"encoding/base64"
	"errors"
	"fmt"
	"io"
	"slices"
	"strings"
	"time"
	"unicode/utf8"

	"github.com/spf13/cobra"

	"movieexample.com/client"
)

func newDeadLettersCommand() *cobra.Command {
	return newGroupCommand("dead-letters", "List, replay or drop events that could not be applied",
		`List, replay or drop dead letters: rating events that could not be applied. They are kept whole, with the reason, until they
are replayed or dropped.`,
		`  movieexample dead-letters list
  movieexample dead-letters replay --all`,
		newDeadLettersListCommand(), newDeadLettersReplayCommand(), newDeadLettersDropCommand())
}

// deadLetterFlags are the flags of the commands that change dead letters.
type deadLetterFlags struct {
	*clientFlags
	all, yes bool
}

// command returns a command that does something with the named dead letters, or all of them.
func (f *deadLetterFlags) command(use, short, long, examples, all string, do func(*cobra.Command, *client.Client, []string) error) *cobra.Command {
	cmd := &cobra.Command{
		Use: use, Short: short, Long: long, Example: examples,
		RunE: func(cmd *cobra.Command, ids []string) error {
			if err := f.chosen(cmd, ids); err != nil {
				return err
			}
			return f.withClient(cmd, func(c *client.Client) error { return do(cmd, c, ids) })
		},
	}
	f.clientFlags = newClientFlags(cmd, client.Rating)
	cmd.Flags().BoolVar(&f.all, "all", false, all)
	return cmd
}

// chosen refuses a command that does not name its dead letters.
func (f *deadLetterFlags) chosen(cmd *cobra.Command, ids []string) error {
	switch {
	case f.all && len(ids) > 0:
		return usagef("give ids or --all, not both")
	case !f.all && len(ids) == 0:
		return usagef("give the ids of dead letters ('movieexample dead-letters list' shows them), or --all")
	}
	for _, id := range ids {
		if strings.TrimSpace(id) == "" {
			return usagef("an id must not be empty; see '%s --help'", cmd.CommandPath())
		}
	}
	if f.all && cmd.Flags().Lookup("yes") != nil && !f.yes {
		return usagef("--all drops every dead letter for good: add --yes to confirm")
	}
	return nil
}

func newDeadLettersListCommand() *cobra.Command {
	var f *clientFlags
	var limit int
	cmd := &cobra.Command{
		Use:   "list",
		Short: "List dead letters, oldest first",
		Long: `List dead letters, oldest first: id, position in Kafka, time of the record, class of the reason, reason, and the event, shortened.
With -o json events are whole. An event that is not valid UTF-8 is in payloadBase64 instead of payload.`,
		Example: `  movieexample dead-letters list
  movieexample dead-letters list --limit 0 -o json`,
		Args: noArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			if limit < 0 {
				return usagef("--limit must be 0, for all, or more; got %d", limit)
			}
			return f.withClient(cmd, func(c *client.Client) error { return listDeadLetters(cmd, f, c, limit) })
		},
	}
	f = newClientFlags(cmd, client.Rating)
	cmd.Flags().IntVar(&limit, "limit", 50, "list at most this many; 0 lists all")
	return cmd
}

// deadLetterJSON is a dead letter as list prints it.
type deadLetterJSON struct {
	ID            string `json:"id"`
	Topic         string `json:"topic"`
	Partition     int32  `json:"partition"`
	Offset        int64  `json:"offset"`
	Class         string `json:"class"`
	Reason        string `json:"reason"`
	Key           string `json:"key,omitempty"`
	Payload       string `json:"payload"`
	PayloadBase64 string `json:"payloadBase64,omitempty"`
	ContentType   string `json:"contentType,omitempty"`
	// RecordTime is missing if the record has none, or one outside the years 1 to 9999; the reason then has it.
	RecordTime *time.Time `json:"recordTime,omitempty"`
	CreateTime time.Time  `json:"createTime"`
}

func listDeadLetters(cmd *cobra.Command, f *clientFlags, c *client.Client, limit int) error {
	out := cmd.OutOrStdout()
	result := struct {
		DeadLetters []deadLetterJSON `json:"deadLetters"`
		Total       int64            `json:"total"`
	}{DeadLetters: []deadLetterJSON{}}
	var listed int64
	total, err := c.DeadLetters(cmd.Context(), limit, func(d client.DeadLetter) error {
		listed++
		if *f.output != outputJSON {
			return printDeadLetter(out, d)
		}
		j := deadLetterJSON{
			ID: d.ID, Topic: d.Topic, Partition: d.Partition, Offset: d.Offset, Class: d.Class, Reason: d.Reason, Key: string(d.Key),
			ContentType: d.ContentType, CreateTime: d.Created,
		}
		if !d.RecordTime.IsZero() {
			j.RecordTime = &d.RecordTime
		}
		if utf8.Valid(d.Payload) {
			j.Payload = string(d.Payload)
		} else {
			j.PayloadBase64 = base64.StdEncoding.EncodeToString(d.Payload)
		}
		result.DeadLetters = append(result.DeadLetters, j)
		return nil
	})
	if err != nil {
		return err
	}
	if *f.output == outputJSON {
		result.Total = total
		return printJSON(out, result)
	}
	text := counted(total, "dead letter", "dead letters")
	if listed < total {
		text = fmt.Sprintf("%s of %s; --limit 0 lists all", grouped(listed), text)
	}
	fmt.Fprintln(cmd.ErrOrStderr(), text)
	return nil
}

func printDeadLetter(w io.Writer, d client.DeadLetter) error {
	written := "-"
	if !d.RecordTime.IsZero() {
		written = d.RecordTime.UTC().Format(time.RFC3339)
	}
	_, err := fmt.Fprintf(w, "%s\n    %s[%d]@%d  %s  %s\n    %s\n    %s\n", d.ID, d.Topic, d.Partition, d.Offset,
		written, d.Class, printable([]byte(d.Reason), 400), printable(d.Payload, 160))
	return err
}

func newDeadLettersReplayCommand() *cobra.Command {
	f := &deadLetterFlags{}
	return f.command("replay [ID…|--all]", "Apply dead letters again",
		`Decode dead letters again and apply those that are valid now, for example after an upgrade. Those that are applied are removed;
the others stay and are listed with the reason.

Exit codes: 0 all were applied, 3 some were refused again, 4 the rating service cannot be reached.`,
		`  movieexample dead-letters replay --all
  movieexample dead-letters replay 0123456789abcdef0123456789abcdef-00002-0000000000000000015`,
		"replay all of them", f.replay)
}

func (f *deadLetterFlags) replay(cmd *cobra.Command, c *client.Client, ids []string) (err error) {
	var s client.ReplaySummary
	if f.all {
		s, err = c.ReplayAllDeadLetters(cmd.Context())
	} else {
		s, err = c.ReplayDeadLetters(cmd.Context(), ids)
	}
	if err != nil {
		return err
	}
	err = f.print(cmd.OutOrStdout(), s, func(w io.Writer) error {
		for _, r := range s.Refused {
			fmt.Fprintf(cmd.ErrOrStderr(), "refused: %s: %s\n", r.ID, printable([]byte(r.Reason), 400))
		}
		_, err := fmt.Fprintf(w, "%s replayed, %s refused\n", grouped(s.Replayed), grouped(int64(len(s.Refused))))
		return err
	})
	if err == nil && len(s.Refused) > 0 {
		return &codedError{code: exitRefused, silent: true, err: errors.New("some dead letters were refused again")}
	}
	return err
}

func newDeadLettersDropCommand() *cobra.Command {
	f := &deadLetterFlags{}
	cmd := f.command("drop [ID…|--all --yes]", "Remove dead letters for good",
		`Remove dead letters for good. Their events are lost, unless Kafka still has them.

Exit codes: 0 all were removed, 3 some ids are unknown, 4 the rating service cannot be reached.`,
		`  movieexample dead-letters drop 0123456789abcdef0123456789abcdef-00002-0000000000000000015
  movieexample dead-letters drop --all --yes`,
		"drop all of them; needs --yes", f.drop)
	cmd.Flags().BoolVar(&f.yes, "yes", false, "confirm --all")
	return cmd
}

func (f *deadLetterFlags) drop(cmd *cobra.Command, c *client.Client, ids []string) (err error) {
	var dropped int64
	if f.all {
		dropped, err = c.DropAllDeadLetters(cmd.Context())
	} else {
		dropped, err = c.DropDeadLetters(cmd.Context(), ids)
	}
	if err != nil {
		return err
	}
	err = f.print(cmd.OutOrStdout(), map[string]int64{"dropped": dropped}, func(w io.Writer) error {
		_, err := fmt.Fprintln(w, counted(dropped, "dead letter", "dead letters")+" dropped")
		return err
	})
	unknown := int64(len(slices.Compact(slices.Sorted(slices.Values(ids))))) - dropped
	if err == nil && !f.all && unknown > 0 {
		fmt.Fprintf(cmd.ErrOrStderr(), "unknown ids: %d (replayed or dropped before, or mistyped)\n", unknown)
		return &codedError{code: exitRefused, silent: true, err: errors.New("some ids are unknown")}
	}
	return err
}
