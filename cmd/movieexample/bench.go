package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"maps"
	"slices"
	"strings"
	"text/tabwriter"
	"time"

	"github.com/spf13/cobra"

	"movieexample.com/client"
	"movieexample.com/client/loadtest"
)

const benchHelp = `Put a running system under a known load and report the latency that callers would have felt.

The load is an open loop: when each request is due follows from --rate and --seed alone, and latency counts from then, not from when it
was sent. So a system that stands still for a moment shows it in the numbers of all who would have asked meanwhile; a
client that waits for each answer before it asks again would hide them (coordinated omission).

--find-peak tries rates from --rate up (or down, where that is too much), each for --step, until the p99 or the errors pass their
limits twice in a row, narrows the peak down, and then measures for --duration at half of the peak.

What is asked is --mix, kinds of requests with their weights:
%s
Films are read from the system itself (the popular chart, then the list) and chosen by Zipf's law over their rank. The default mix
only reads. Kinds that write rate as users bench-0 to bench-99999, and their ratings stay: do not use them where ratings are of
worth.

Requests under way are bounded by --outstanding. One that finds no place within --patience of its time is not sent; it is
counted, and so is its wait. Latencies are those of right answers and of requests that waited in vain; errors are counted by code.
A rate is at most %.0f per second; warm-up and duration at most %s. Targets must be on this machine unless --allow-remote says that
others are meant: never put a load on a system whose owner does not expect it.

Each second is told on standard error, the result on standard output. With -o json, latencies are in milliseconds ("latencyMs"), "due" is
"answered" + "failed" + "notSent", "errors" counts by code, and "sentLateMs" is how late requests left: the generator's own doing,
as long as "outstanding" was not reached. "environment" has the program's version, the cores and the processor time of the generator.

Exit codes: 0 every request had its answer, 1 with --find-peak: no rate was borne, 3 some requests failed or were not
sent, 4 the system cannot be reached, 130 interrupted (what was measured until then is printed).`

type benchFlags struct {
	targets   loadtest.Targets
	search    loadtest.PeakSearch
	findPeak  bool
	addresses string
	output    *outputFlag
}

func newBenchCommand() *cobra.Command {
	f := &benchFlags{targets: loadtest.DefaultTargets(), search: loadtest.PeakSearch{Plan: loadtest.Plan{Arrivals: loadtest.Poisson}}}
	var kinds strings.Builder
	rows := tabwriter.NewWriter(&kinds, 0, 0, 2, ' ', 0)
	for _, k := range loadtest.KindsOfRequests() {
		writes := ""
		if k.Writes {
			writes = " (writes)"
		}
		fmt.Fprintf(rows, "  %s\t%s%s\n", k.Kind, k.What, writes)
	}
	_ = rows.Flush() // into memory
	cmd := &cobra.Command{
		Use:   "bench",
		Short: "Measure latency under a known load",
		Long:  fmt.Sprintf(benchHelp, kinds.String(), loadtest.MaxRate, loadtest.MaxDuration),
		Example: `  movieexample bench --rate 500 --duration 30s
  movieexample bench --find-peak --mix rest-details -o json
  movieexample bench --rate 2000 --mix grpc-details=9,grpc-rate=1 --addresses addresses.json
  movieexample bench --rate 1000 --gateway-addr http://127.0.0.1:8080,http://127.0.0.1:18080`,
		Args: noArgs,
		RunE: func(cmd *cobra.Command, _ []string) error { return f.run(cmd) },
	}
	flags, p := cmd.Flags(), &f.search.Plan
	flags.StringSliceVar(&f.targets.Gateways, "gateway-addr", f.targets.Gateways, "URLs of gateways, separated by commas; requests go to them in turns")
	flags.StringSliceVar(&f.targets.Movie, "movie-addr", f.targets.Movie, "gRPC addresses of the movie service")
	flags.StringSliceVar(&f.targets.Metadata, "metadata-addr", f.targets.Metadata, "gRPC addresses of the metadata service")
	flags.StringSliceVar(&f.targets.Rating, "rating-addr", f.targets.Rating, "gRPC addresses of the rating service")
	flags.StringSliceVar(&f.targets.Brokers, "kafka-brokers", f.targets.Brokers, "addresses of Kafka brokers")
	flags.StringVar(&f.targets.Topic, "topic", f.targets.Topic, "Kafka topic of rating events")
	flags.StringVar(&f.addresses, "addresses", "", "JSON file with the addresses, as 'serve --addresses FILE' writes it; flags win over it")
	flags.BoolVar(&f.targets.Remote, "allow-remote", false, "allow targets on other machines")
	flags.Var(&f.targets.Mix, "mix", "kinds of requests and their weights")
	flags.IntVar(&f.targets.Connections, "connections", f.targets.Connections, "connections to each door")
	flags.IntVar(&f.targets.Films, "films", f.targets.Films, "how many films are asked for, the most rated first")
	flags.Float64Var(&f.targets.Zipf, "zipf", f.targets.Zipf, "exponent of the choice among films; 0 asks for all alike")
	flags.Float64Var(&p.Rate, "rate", 100, "requests per second; with --find-peak the first rate tried")
	flags.DurationVar(&p.Duration, "duration", 30*time.Second, "for how long requests are counted")
	flags.DurationVar(&p.Warmup, "warmup", 5*time.Second, "load of the same kind before that, not counted")
	flags.Var(&p.Arrivals, "arrivals", "how requests are spread over time: poisson or constant")
	flags.Uint64Var(&p.Seed, "seed", 1, "decides when requests are due and what they ask")
	flags.IntVar(&p.Outstanding, "outstanding", 1024, "most requests under way")
	flags.DurationVar(&p.Patience, "patience", time.Second, "how long after its time a request is still sent")
	flags.DurationVar(&p.Timeout, "timeout", 10*time.Second, "how long an answer is waited for")
	flags.BoolVar(&f.findPeak, "find-peak", false, "look for the highest rate that the system bears, and measure at half of it")
	flags.DurationVar(&f.search.Step, "step", 5*time.Second, "with --find-peak: how long each rate is tried")
	flags.DurationVar(&f.search.P99, "limit-p99", 100*time.Millisecond, "with --find-peak: longest p99 that is bearable")
	flags.Float64Var(&f.search.FailedShare, "limit-errors", 0.001, "with --find-peak: greatest share of requests without a right answer")
	f.output = newOutputFlag(cmd)
	return cmd
}

// benchResult is what bench prints as JSON.
type benchResult struct {
	Mix         string           `json:"mix"`
	Targets     []string         `json:"targets"`
	Films       int              `json:"films"`
	Zipf        float64          `json:"zipf"`
	Connections int              `json:"connections"`
	Peak        *loadtest.Peak   `json:"peak,omitempty"`
	Report      *loadtest.Report `json:"report,omitempty"`
}

func (f *benchFlags) run(cmd *cobra.Command) (err error) {
	if err := f.check(cmd); err != nil {
		return err
	}
	system, err := loadtest.Connect(cmd.Context(), f.targets)
	if err != nil {
		return f.explain(err)
	}
	defer func() { err = errors.Join(err, system.Close()) }()
	say := func(format string, args ...any) { fmt.Fprintf(cmd.ErrOrStderr(), format+"\n", args...) }
	if writes := f.targets.Mix.Writes(); len(writes) > 0 {
		say("ratings of users bench-0 to bench-99999 will stay in the system (%s)", strings.Join(writes, ", "))
	}
	result := benchResult{
		Mix: f.targets.Mix.String(), Targets: f.targets.Addresses(), Films: system.Films(), Zipf: f.targets.Zipf, Connections: f.targets.Connections,
	}
	f.search.Plan.EachSecond = func(s loadtest.Second) { say("%s", secondText(s)) }
	f.search.EachStep = func(s loadtest.Step) { say("%s", stepText(s)) }
	var report loadtest.Report
	if f.findPeak {
		var peak loadtest.Peak
		peak, err = loadtest.FindPeak(cmd.Context(), f.search, system.Source())
		result.Peak, report = &peak, peak.AtHalf
	} else {
		report, err = loadtest.Run(cmd.Context(), f.search.Plan, system.Source())
		result.Report = &report
	}
	printErr := f.print(cmd.OutOrStdout(), result, report)
	switch {
	case errors.Is(err, context.Canceled):
		return &codedError{code: exitInterrupted, err: err}
	case err != nil || printErr != nil:
		return usageOfInput(errors.Join(err, printErr))
	case result.Peak != nil && result.Peak.Rate == 0:
		last := result.Peak.Steps[len(result.Peak.Steps)-1]
		return fmt.Errorf("the system did not even bear %.3g requests per second (%s): raise --limit-p99 or --limit-errors if that is bearable", last.Rate, last.Broke)
	case report.All.Failed+report.All.NotSent > 0:
		return &codedError{code: exitRefused, silent: true, err: errors.New("some requests had no right answer")}
	}
	return nil
}

// check works the targets out, and refuses what cannot be before anything is connected.
func (f *benchFlags) check(cmd *cobra.Command) error {
	if f.addresses != "" {
		given := f.targets
		if err := f.targets.Locate(f.addresses); err != nil {
			return usagef("--addresses: %w", err)
		}
		for flag, restore := range map[string]func(){
			"gateway-addr":  func() { f.targets.Gateways = given.Gateways },
			"movie-addr":    func() { f.targets.Movie = given.Movie },
			"metadata-addr": func() { f.targets.Metadata = given.Metadata },
			"rating-addr":   func() { f.targets.Rating = given.Rating },
			"kafka-brokers": func() { f.targets.Brokers = given.Brokers },
		} {
			if cmd.Flags().Changed(flag) {
				restore()
			}
		}
	}
	for _, flag := range []string{"step", "limit-p99", "limit-errors"} {
		if cmd.Flags().Changed(flag) && !f.findPeak {
			return usagef("--%s is for --find-peak; give both or neither", flag)
		}
	}
	// A zero asks for the default there, and for nothing that exists here.
	for _, zero := range []struct {
		flag string
		is   bool
	}{
		{"connections", f.targets.Connections == 0},
		{"films", f.targets.Films == 0},
		{"outstanding", f.search.Plan.Outstanding == 0},
		{"patience", f.search.Plan.Patience == 0},
		{"timeout", f.search.Plan.Timeout == 0},
		{"step", f.search.Step == 0},
		{"limit-p99", f.search.P99 == 0},
		{"limit-errors", f.search.FailedShare == 0},
	} {
		if zero.is {
			return usagef("--%s must be above 0", zero.flag)
		}
	}
	if err := f.search.Validate(); err != nil {
		return usagef("%w", err)
	}
	if err := f.targets.Validate(); err != nil {
		return f.explain(err)
	}
	return nil
}

// explain says which flag to look at.
func (f *benchFlags) explain(err error) error {
	gone, remote := (*client.UnreachableError)(nil), (*loadtest.RemoteError)(nil)
	switch {
	case errors.As(err, &remote):
		return usagef("%w: give --allow-remote if its owner agrees", err)
	case errors.As(err, &gone):
		flag := gone.Part + "-addr"
		if gone.Part == client.Kafka {
			flag = "kafka-brokers"
		}
		if gone.Addr == "" && f.addresses != "" {
			return &codedError{code: exitUnreachable, err: fmt.Errorf("%w: the process that wrote %s does not run it; give the address by --%s, or a --mix that does not need it",
				err, f.addresses, flag)}
		}
		return &codedError{code: exitUnreachable, err: fmt.Errorf("%w: is it running? Another address is given by --%s or --addresses", err, flag)}
	}
	return usageOfInput(err)
}

// secondText is one line about one second.
func secondText(s loadtest.Second) string {
	phase := ""
	if s.Warmup {
		phase = "  (warm-up)"
	}
	return fmt.Sprintf("%4d s  %7s answered/s  %s failed  %s not sent  %s under way  p50 %s  p99 %s  max %s%s", s.N, grouped(s.Answered), grouped(s.Failed),
		grouped(s.NotSent), grouped(int64(s.UnderWay)), millis(s.Latency.P50), millis(s.Latency.P99), millis(s.Latency.Max), phase)
}

// stepText is one line about one rate tried.
func stepText(s loadtest.Step) string {
	text := fmt.Sprintf("tried %.0f/s: %.0f/s answered, p99 %s", s.Rate, s.Reached, millis(s.P99))
	if s.Broke != "" {
		text += ": too much, " + s.Broke
	}
	return text
}

// millis writes milliseconds with three significant digits.
func millis(ms float64) string {
	switch {
	case ms >= 100:
		return fmt.Sprintf("%.0f ms", ms)
	case ms >= 10:
		return fmt.Sprintf("%.1f ms", ms)
	}
	return fmt.Sprintf("%.2f ms", ms)
}

func (f *benchFlags) print(w io.Writer, result benchResult, r loadtest.Report) error {
	if *f.output == outputJSON {
		return printJSON(w, result)
	}
	var b strings.Builder
	if result.Peak != nil {
		fmt.Fprintf(&b, "Peak: %.0f requests/s, in %s.", result.Peak.Rate, counted(int64(len(result.Peak.Steps)), "try", "tries"))
		if r.Offered == 0 {
			fmt.Fprintln(&b)
			_, err := io.WriteString(w, b.String())
			return err
		}
		fmt.Fprintln(&b, " At half of it:")
	}
	fmt.Fprintf(&b, "%.0f requests/s due (%s arrivals, seed %d) for %.1f s after %.1f s of warm-up, %s of %s\n", r.Offered, r.Arrivals, r.Seed,
		r.Seconds, r.WarmupSeconds, result.Mix, counted(int64(result.Films), "film", "films"))
	table := tabwriter.NewWriter(&b, 0, 0, 2, ' ', tabwriter.AlignRight)
	fmt.Fprintln(table, "kind\tdue\tanswered\t/s\tfailed\tnot sent\tp50\tp90\tp99\tp99.9\tmax\t")
	for _, k := range append(slices.Clone(r.Kinds), r.All) {
		l := k.Latency
		fmt.Fprintf(table, "%s\t%s\t%s\t%.0f\t%s\t%s\t%s\t%s\t%s\t%s\t%s\t\n", k.Kind, grouped(k.Due), grouped(k.Answered), k.Rate,
			grouped(k.Failed), grouped(k.NotSent), millis(l.P50), millis(l.P90), millis(l.P99), millis(l.P999), millis(l.Max))
	}
	if err := table.Flush(); err != nil {
		return err
	}
	for _, code := range slices.Sorted(maps.Keys(r.All.Errors)) {
		fmt.Fprintf(&b, "%s: %s\n", code, grouped(r.All.Errors[code]))
	}
	e := r.Environment
	fmt.Fprintf(&b, "Requests were sent late by %s (p50), %s (p99). The generator took %.1f s of processor time on %s; %s, %s, %s.\n",
		millis(r.SentLate.P50), millis(r.SentLate.P99), e.GeneratorCPUSeconds, counted(int64(e.Cores), "core", "cores"), e.Version, e.GoVersion, e.Platform)
	_, err := io.WriteString(w, b.String())
	return err
}
