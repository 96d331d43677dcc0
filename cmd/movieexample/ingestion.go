package main

import (
	"errors"
	"fmt"
	"io"
	"slices"
	"strconv"
	"strings"
	"text/tabwriter"
	"time"

	"github.com/spf13/cobra"

	"movieexample.com/client"
)

const ingestionHelp = `Show the progress of ingestion from Kafka, and resume halted partitions.

The rating service halts a partition when continuing would silently skip events: events were deleted before they were ingested,
the log was truncated, or the topic was deleted and recreated. An operator then decides where to resume.`

func newIngestionCommand() *cobra.Command {
	return newGroupCommand("ingestion", "Show the progress of ingestion, and resume halted partitions", ingestionHelp,
		`  movieexample ingestion list
  movieexample ingestion resume --topic ratings --partition 3 --from earliest`,
		newIngestionListCommand(), newIngestionResumeCommand())
}

func newIngestionListCommand() *cobra.Command {
	var f *clientFlags
	cmd := &cobra.Command{
		Use:   "list",
		Short: "List the partitions: position, lag, owner, and why one is halted",
		Long: `List the partitions: the offset of the next event to ingest, the end of the log, the lag (in offsets, and as the age of the oldest
event not yet ingested), and the process that owns the partition. The reasons of halted partitions follow the table.

Any process of the rating service answers, with the values of its metrics. "-" means unknown: the topic does not exist, or the
brokers have not answered yet. While they do not answer, the numbers are those of their last answer, and the lag in time grows.

Exit codes: 0 every partition is ingested, 1 failed, 3 a partition is halted or has no owner, 4 the rating service or Kafka cannot
be reached.`,
		Example: `  movieexample ingestion list
  movieexample ingestion list -o json`,
		Args: noArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			return f.withClient(cmd, func(c *client.Client) error { return listIngestion(cmd, f, c) })
		},
	}
	f = newClientFlags(cmd, client.Rating)
	return cmd
}

func listIngestion(cmd *cobra.Command, f *clientFlags, c *client.Client) error {
	list, brokersError, err := c.Ingestion(cmd.Context())
	if err != nil {
		return err
	}
	err = f.print(cmd.OutOrStdout(), struct {
		Partitions   []client.IngestPartition `json:"partitions"`
		BrokersError string                   `json:"brokersError,omitempty"`
	}{append([]client.IngestPartition{}, list...), brokersError}, func(w io.Writer) error { return printIngestion(w, list) })
	if err != nil {
		return err
	}
	return ingestionTrouble(list, brokersError)
}

// ingestionTrouble says why events are not ingested; nil if they are.
func ingestionTrouble(list []client.IngestPartition, brokersError string) error {
	if brokersError != "" {
		return &codedError{code: exitUnreachable, err: fmt.Errorf("the brokers do not answer, and the numbers may be old: %s", brokersError)}
	}
	halted, unowned := 0, 0
	for _, p := range list {
		switch {
		case p.Halted != "":
			halted++
		case p.Owned != nil && !*p.Owned:
			unowned++
		}
	}
	var says []string
	if halted > 0 {
		says = append(says, counted(int64(halted), "partition is", "partitions are")+" halted: resume with 'movieexample ingestion resume'")
	}
	if unowned > 0 {
		says = append(says, counted(int64(unowned), "partition has", "partitions have")+" no owner: start a rating service, or wait if one has just started or stopped")
	}
	if len(says) == 0 {
		return nil
	}
	return &codedError{code: exitRefused, err: errors.New(strings.Join(says, "; "))}
}

func printIngestion(w io.Writer, list []client.IngestPartition) error {
	table := tabwriter.NewWriter(w, 0, 0, 2, ' ', 0)
	fmt.Fprintln(table, "PARTITION\tNEXT\tEND\tLAG\tLAG TIME\tOWNER\tSTATE")
	number := func(n *int64) string {
		if n == nil {
			return "-"
		}
		return strconv.FormatInt(*n, 10)
	}
	for _, p := range list {
		age, owner, state := "-", p.Owner, "runs"
		if p.LagSeconds != nil {
			age = time.Duration(*p.LagSeconds * float64(time.Second)).Round(100 * time.Millisecond).String()
		}
		if owner == "" {
			owner = "-"
		}
		switch {
		case p.Halted != "":
			state = "HALTED"
		case p.Owned != nil && !*p.Owned:
			state = "UNOWNED"
		}
		fmt.Fprintf(table, "%s[%d]\t%d\t%s\t%s\t%s\t%s\t%s\n", p.Topic, p.Partition, p.NextOffset, number(p.EndOffset), number(p.LagRecords), age, owner, state)
	}
	if err := table.Flush(); err != nil {
		return err
	}
	for _, p := range list {
		if p.Halted != "" {
			if _, err := fmt.Fprintf(w, "\n%s[%d] (topic id %s) is halted: %s\n", p.Topic, p.Partition, p.TopicID, printable([]byte(p.Halted), 2000)); err != nil {
				return err
			}
		}
	}
	return nil
}

type resumeFlags struct {
	*clientFlags
	topic         string
	partitions    []int32
	all           bool
	from          string
	dryRun, force bool
}

func newIngestionResumeCommand() *cobra.Command {
	f := &resumeFlags{}
	cmd := &cobra.Command{
		Use:   "resume --topic TOPIC --partition N --from earliest|OFFSET|end",
		Short: "Resume halted partitions",
		Long: `Resume halted partitions, and list the events that are lost.

  --from earliest  at the oldest event in the log: ingest everything that is left. An event that is read twice changes nothing.
  --from OFFSET    at that offset: skip earlier events that were not ingested.
  --from end       after the newest event: skip everything that is in the log now.

No restart is needed. The command returns when the owner of the partition has resumed, and fails if that takes more than two
seconds. Any process of the rating service takes the command. Partitions are resumed in order, up to the first that fails.

Exit codes: 0 done, 1 failed (the partition is not halted, or has moved meanwhile), 2 wrong usage, 4 the rating service or Kafka
cannot be reached, or the owner of the partition did not resume in time.`,
		Example: `  movieexample ingestion resume --topic ratings --partition 3 --from earliest --dry-run
  movieexample ingestion resume --topic ratings --partition 3 --from 120456
  movieexample ingestion resume --topic ratings --all --from earliest`,
		Args: noArgs,
		RunE: func(cmd *cobra.Command, _ []string) error { return f.run(cmd) },
	}
	f.clientFlags = newClientFlags(cmd, client.Rating)
	cmd.Flags().StringVar(&f.topic, "topic", "ratings", "Kafka topic of rating events")
	cmd.Flags().Int32SliceVar(&f.partitions, "partition", nil, "number of the partition; separate several by commas")
	cmd.Flags().BoolVar(&f.all, "all", false, "every halted partition of the topic")
	cmd.Flags().StringVar(&f.from, "from", "", "where to resume: earliest, an offset, or end (required)")
	cmd.Flags().BoolVar(&f.dryRun, "dry-run", false, "only show what would be lost; change nothing")
	cmd.Flags().BoolVar(&f.force, "force", false, "move a partition that is not halted, too")
	return cmd
}

func (f *resumeFlags) run(cmd *cobra.Command) error {
	r := client.Resume{Topic: f.topic, DryRun: f.dryRun, Force: f.force}
	switch f.from {
	case "":
		return usagef("--from is required: earliest, an offset, or end; see '%s --help'", cmd.CommandPath())
	case "earliest":
		r.From = client.ResumeAtEarliest
	case "end":
		r.From = client.ResumeAtEnd
	default:
		n, err := strconv.ParseInt(f.from, 10, 64)
		if err != nil || n < 0 {
			return usagef("--from must be earliest, an offset (0 or more), or end; got %q", f.from)
		}
		r.From, r.Offset = client.ResumeAtOffset, n
	}
	switch {
	case f.all && len(f.partitions) > 0:
		return usagef("give --partition or --all, not both")
	case f.all && f.force:
		return usagef("--all means the halted partitions; --force needs --partition")
	case !f.all && len(f.partitions) == 0:
		return usagef("name the partition with --partition ('movieexample ingestion list' shows them), or give --all for the halted ones")
	}
	for _, n := range f.partitions {
		if n < 0 {
			return usagef("--partition must be 0 or more, got %d", n)
		}
	}
	return f.withClient(cmd, func(c *client.Client) error { return f.resume(cmd, c, r) })
}

func (f *resumeFlags) resume(cmd *cobra.Command, c *client.Client, r client.Resume) error {
	numbers := slices.Clone(f.partitions)
	var topics []string
	if f.all {
		list, _, err := c.Ingestion(cmd.Context())
		if err != nil {
			return err
		}
		for _, p := range list {
			topics = append(topics, p.Topic)
			if p.Topic == f.topic && p.Halted != "" {
				numbers = append(numbers, p.Partition)
			}
		}
	}
	if f.all && !slices.Contains(topics, f.topic) {
		known := "no topic is known yet"
		slices.Sort(topics)
		if topics = slices.Compact(topics); len(topics) > 0 {
			known = "known topics are " + strings.Join(topics, ", ")
		}
		return fmt.Errorf("no partition of topic %q is known, so none can be resumed; %s", f.topic, known)
	}
	slices.Sort(numbers)
	done := []client.Resumed{}
	var failed error
	for _, n := range slices.Compact(numbers) {
		r.Partition = n
		one, err := c.ResumePartition(cmd.Context(), r)
		if err != nil {
			failed = usageOfInput(err)
			break
		}
		done = append(done, one)
		if *f.output == outputText {
			if err := printResumed(cmd.OutOrStdout(), one); err != nil {
				return err
			}
		}
	}
	if *f.output == outputJSON {
		return errors.Join(failed, printJSON(cmd.OutOrStdout(), map[string]any{"resumed": done}))
	}
	if failed == nil && len(done) == 0 {
		fmt.Fprintf(cmd.ErrOrStderr(), "no partition of topic %q is halted\n", f.topic)
	}
	return failed
}

func printResumed(w io.Writer, r client.Resumed) error {
	var b strings.Builder
	verb := "resumes"
	if r.DryRun {
		verb = "would resume"
	}
	fmt.Fprintf(&b, "%s[%d] %s at offset %d", r.Topic, r.Partition, verb, r.NewOffset)
	if r.OldOffset != nil {
		fmt.Fprintf(&b, " (it was at %d)", *r.OldOffset)
	}
	fmt.Fprintf(&b, ": %s skipped, %s lost, %s read again\n", grouped(r.Skipped), grouped(r.Lost), grouped(r.Repeated))
	if len(r.GivenUp) == 0 {
		b.WriteString("  no events are lost\n")
	}
	for _, g := range r.GivenUp {
		fmt.Fprintf(&b, "  lost: %s\n", printable([]byte(g), 500))
	}
	if !r.DryRun && !r.TakenUp {
		b.WriteString("  the partition has no owner now: its next owner starts there\n")
	}
	_, err := io.WriteString(w, b.String())
	return err
}
