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

const benchHelp = `Put a running system under a known load and report the latency that callers see.

The load is an open loop: --rate and --seed alone decide when each request is due, and latency counts from then, not from when it
was sent. So a stall shows in the latency of every request that was due during it. A client that waits for each answer before it
sends the next request would hide the stall (coordinated omission).

--find-peak tries rates upwards from --rate (or downwards, if that is too much), each for --step, until the p99 or the errors
exceed their limits twice in a row. It narrows the peak down, then measures for --duration at half of the peak.

--mix gives the kinds of requests with their weights:
%s
Films are read from the system (the popular chart, then the list) and chosen by Zipf's law over their rank. The default mix only
reads. Kinds that write rate films as users bench-0 to bench-99999, and their ratings stay: do not use them where ratings matter.

--outstanding bounds the requests in flight. A request that cannot start within --patience of its due time is not sent; it is
counted, and so is its wait. Latencies are those of correct answers and of requests that timed out; errors are counted by code.
The maximum rate is %.0f per second; warm-up and duration are at most %s. Targets must be on this machine unless --allow-remote
is given. Never put load on a system whose owner does not expect it.

Each second is reported on standard error, the result on standard output. With -o json, latencies are in milliseconds ("latencyMs"),
"due" is "answered" + "failed" + "notSent", "errors" counts by code, and "sentLateMs" is how late requests were sent, which is the
generator's fault unless "outstanding" was reached. "environment" has version, cores, and processor time of the generator.

Exit codes: 0 every request was answered, 1 with --find-peak: no rate was sustained, 3 some requests failed or were not sent,
4 the system cannot be reached, 130 interrupted (what was measured until then is printed).`

type benchFlags struct {
	targets   loadtest.Targets
	search    loadtest.PeakSearch
	findPeak  bool
	addresses string
	output    *string
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
	flags.StringSliceVar(&f.targets.Gateways, "gateway-addr", f.targets.Gateways, "URLs of gateways, separated by commas; requests go to them in turn")
	flags.StringSliceVar(&f.targets.Movie, "movie-addr", f.targets.Movie, "gRPC addresses of the movie service")
	flags.StringSliceVar(&f.targets.Metadata, "metadata-addr", f.targets.Metadata, "gRPC addresses of the metadata service")
	flags.StringSliceVar(&f.targets.Rating, "rating-addr", f.targets.Rating, "gRPC addresses of the rating service")
	flags.StringSliceVar(&f.targets.Brokers, "kafka-brokers", f.targets.Brokers, "addresses of Kafka brokers")
	flags.StringVar(&f.targets.Topic, "topic", f.targets.Topic, "Kafka topic of rating events")
	flags.StringVar(&f.addresses, "addresses", "", "JSON file with the addresses, as 'serve --addresses FILE' and 'make cluster' write it; flags win over the file")
	flags.BoolVar(&f.targets.Remote, "allow-remote", false, "allow targets on other machines")
	flags.Var(&f.targets.Mix, "mix", "kinds of requests and their weights")
	flags.IntVar(&f.targets.Connections, "connections", f.targets.Connections, "connections to each address")
	flags.IntVar(&f.targets.Films, "films", f.targets.Films, "how many films to request, the most rated first")
	flags.Float64Var(&f.targets.Zipf, "zipf", f.targets.Zipf, "exponent of the choice among films; 0 chooses all alike")
	flags.Float64Var(&p.Rate, "rate", 100, "requests per second; with --find-peak, the first rate to try")
	flags.DurationVar(&p.Duration, "duration", 30*time.Second, "how long to measure")
	flags.DurationVar(&p.Warmup, "warmup", 5*time.Second, "how long to run the same load before measuring")
	flags.Var(&p.Arrivals, "arrivals", "distribution of requests over time: poisson or constant")
	flags.Uint64Var(&p.Seed, "seed", 1, "seed of the times and targets of requests")
	flags.IntVar(&p.Outstanding, "outstanding", 1024, "maximum number of requests in flight")
	flags.DurationVar(&p.Patience, "patience", time.Second, "how long after its due time a request is still sent")
	flags.DurationVar(&p.Timeout, "timeout", 10*time.Second, "how long to wait for an answer")
	flags.BoolVar(&f.findPeak, "find-peak", false, "find the highest rate that the system sustains, and measure at half of it")
	flags.DurationVar(&f.search.Step, "step", 5*time.Second, "with --find-peak: how long to try each rate")
	flags.DurationVar(&f.search.P99, "limit-p99", 100*time.Millisecond, "with --find-peak: maximum p99")
	flags.Float64Var(&f.search.FailedShare, "limit-errors", 0.001, "with --find-peak: maximum share of requests without a correct answer")
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
		say("ratings of users bench-0 to bench-99999 stay in the system (%s)", strings.Join(writes, ", "))
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
		return fmt.Errorf("the system did not sustain even %.3g requests per second (%s): raise --limit-p99 or --limit-errors to accept that", last.Rate, last.Broke)
	case report.All.Failed+report.All.NotSent > 0:
		return &codedError{code: exitRefused, silent: true, err: errors.New("some requests had no correct answer")}
	}
	return nil
}

// check resolves the targets, and refuses invalid flags before anything is connected.
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
	// There, zero means the default; as a flag it is a mistake.
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

// explain adds the flag to check.
func (f *benchFlags) explain(err error) error {
	gone, remote := (*client.UnreachableError)(nil), (*loadtest.RemoteError)(nil)
	switch {
	case errors.As(err, &remote):
		return usagef("%w: add --allow-remote if its owner agrees", err)
	case errors.As(err, &gone):
		flag := gone.Part + "-addr"
		if gone.Part == client.Kafka {
			flag = "kafka-brokers"
		}
		return unreachable(err, gone.Addr, flag, f.addresses)
	}
	return usageOfInput(err)
}

// secondText is the line about one second.
func secondText(s loadtest.Second) string {
	phase := ""
	if s.Warmup {
		phase = "  (warm-up)"
	}
	return fmt.Sprintf("%4d s  %7s answered/s  %s failed  %s not sent  %s in flight  p50 %s  p99 %s  max %s%s", s.N, grouped(s.Answered), grouped(s.Failed),
		grouped(s.NotSent), grouped(int64(s.UnderWay)), millis(s.Latency.P50), millis(s.Latency.P99), millis(s.Latency.Max), phase)
}

// stepText is the line about one rate.
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
	fmt.Fprintf(&b, "Requests were sent %s (p50), %s (p99) late. The generator used %.1f s of processor time on %s; %s, %s, %s.\n",
		millis(r.SentLate.P50), millis(r.SentLate.P99), e.GeneratorCPUSeconds, counted(int64(e.Cores), "core", "cores"), e.Version, e.GoVersion, e.Platform)
	_, err := io.WriteString(w, b.String())
	return err
}
