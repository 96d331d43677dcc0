package main

import (
	"errors"
	"fmt"
	"io"
	"os"
	"time"

	"github.com/spf13/cobra"

	"movieexample.com/api/events"
	"movieexample.com/client"
)

const publishHelp = `Send rating events from a file to the Kafka topic.

FILE is a JSON array of events, or one event per line; "-" is standard input. An event:

  {"userId":"105","recordId":"tt0111161","recordType":"movie","value":9,"providerId":"my-app","eventType":"put","ratedAt":"2026-01-31T20:15:00Z"}

value is 1 to 10. eventType is put (the default) or delete, which has no value. ratedAt is the time at which the user rated; the
default is the time at which Kafka receives the event. providerId is optional.

Events are keyed by record, so those of one record stay in order. Invalid events are listed on standard error with their
position in the file and the reason; the others are sent. Lines and items are counted from 1.

With -o json, "read", "accepted", "refused", "notSent" and "outcomeUnknown" are numbers of events. "refusals" lists the first 100
refused events, each with "position" and "reason".

Exit codes: 0 Kafka has every event, 3 some were refused, 4 the broker cannot be reached or refuses the login, 130 interrupted.`

type publishFlags struct {
	*clientFlags
	stall   time.Duration
	rejects string
}

func newPublishCommand() *cobra.Command {
	f := &publishFlags{}
	cmd := &cobra.Command{
		Use:   "publish FILE|-",
		Short: "Send rating events from a file to Kafka",
		Long:  publishHelp,
		Example: `  movieexample publish events.json
  movieexample publish events.jsonl --kafka-brokers kafka-1:9092,kafka-2:9092 -o json
  echo '{"userId":"105","recordId":"tt0111161","recordType":"movie","value":9}' | movieexample publish -`,
		Args: oneArgument("FILE", `a file with events, or "-" for standard input`),
		RunE: func(cmd *cobra.Command, args []string) error { return f.run(cmd, args[0]) },
	}
	f.clientFlags = newClientFlags(cmd, client.Kafka)
	cmd.Flags().StringVar(&f.rejects, "rejects", "", "write every refused event to this file; standard error lists the first 100")
	addStallFlag(cmd, &f.stall, 30*time.Second)
	return cmd
}

func (f *publishFlags) run(cmd *cobra.Command, file string) (err error) {
	if err := checkStall(f.stall); err != nil {
		return err
	}
	src := cmd.InOrStdin()
	if file != "-" {
		opened, err := os.Open(file)
		if err != nil {
			return usagef("%w", err)
		}
		defer opened.Close() // read only
		src = opened
	}
	list, err := newRejectList("refused", f.rejects)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, list.close()) }()
	c, err := f.connect(cmd)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, c.Close()) }()

	list.println = func(text string) { fmt.Fprintln(cmd.ErrOrStderr(), text) }
	result := publishResult{Refusals: []refusal{}}
	result.PublishSummary, err = c.PublishFile(cmd.Context(), src, client.PublishOptions{
		StallTimeout: f.stall,
		Refused: func(bad *events.RefusedError) {
			r := refusalOf(bad)
			list.add(r.Position + ": " + r.Reason)
			if len(result.Refusals) < shownRejects {
				result.Refusals = append(result.Refusals, r)
			}
		},
	})
	list.summarize()
	err = usageOfInput(f.explain(err))
	s := result.PublishSummary
	if err != nil && s.Read == 0 {
		return err
	}
	printErr := f.print(cmd.OutOrStdout(), result, func(w io.Writer) error { return printPublish(w, result) })
	switch {
	case err != nil:
		return err
	case printErr != nil:
		return printErr
	case s.Refused > 0:
		return &codedError{code: exitRefused, silent: true, err: fmt.Errorf("%s refused", counted(s.Refused, "event was", "events were"))}
	}
	return nil
}

// publishResult is what publish prints as JSON.
type publishResult struct {
	client.PublishSummary
	Refusals []refusal `json:"refusals"`
}

// refusal is an event that was refused.
type refusal struct {
	Position string `json:"position"`
	Reason   string `json:"reason"`
}

func refusalOf(bad *events.RefusedError) refusal {
	return refusal{Position: bad.Position.String(), Reason: bad.Err.Error()}
}

func printPublish(w io.Writer, s publishResult) error {
	text := fmt.Sprintf("%s read: %s accepted, %s refused", counted(s.Read, "event", "events"), grouped(s.Accepted), grouped(s.Refused))
	if s.NotSent > 0 {
		text += fmt.Sprintf(", %s not sent", grouped(s.NotSent))
	}
	if s.Unknown > 0 {
		text += fmt.Sprintf(", %s of unknown outcome", grouped(s.Unknown))
	}
	_, err := fmt.Fprintln(w, text)
	return err
}
