package main

import (
	"errors"
	"fmt"
	"io"
	"regexp"
	"slices"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"movieexample.com/client/verify"
	"movieexample.com/internal/fault"
)

const verifyHelp = `Check, through every API, that a running system keeps its promises.

It can be any system: one process or a cluster, empty or in production. Give several addresses of a service separated by
commas: every instance is checked, and what was written through one is read at the others. Without addresses, the default
addresses of 'movieexample serve' are checked; with an address or --addresses, only those given. Checks without an address
are shown as not asked, with the flag that gives it.

It writes its own films, ratings and events, with ids that begin with "verify-" and a random part, checks only those, and
removes them again; it drops its dead letters by id. Some of it cannot be removed through an API and stays: the tombstones
of its ratings with their empty aggregates, and its events in the topic. Anything else that could not be removed is listed.

Exit codes: 0 every check holds, 1 a check fails, 2 wrong usage, 4 something cannot be reached, and no check fails.`

// verifyFlags are the flags of verify.
type verifyFlags struct {
	target  string
	file    string
	only    string
	output  *string
	targets verify.Targets
}

func newVerifyCommand() *cobra.Command {
	var f *verifyFlags
	cmd := &cobra.Command{
		Use:   "verify",
		Short: "Check that a running system keeps its promises",
		Long:  verifyHelp,
		Example: `  movieexample verify
  movieexample verify --target http://127.0.0.1:8080
  movieexample verify --target addresses.json --only 'events|search'
  movieexample verify --gateway-addr http://10.0.0.1:8080,http://10.0.0.2:8080 --movie-addr 10.0.0.1:8083,10.0.0.2:8083`,
		Args: noArgs,
		RunE: func(cmd *cobra.Command, _ []string) error { return runVerify(cmd, f) },
	}
	f = newVerifyFlags(cmd)
	return cmd
}

// newVerifyFlags adds the flags.
func newVerifyFlags(cmd *cobra.Command) *verifyFlags {
	f := &verifyFlags{targets: verify.Targets{Topic: verify.DefaultTargets().Topic}}
	flags := cmd.Flags()
	for _, p := range verifyParts() {
		flags.StringSliceVar(p.addresses(&f.targets), p.flag, nil, p.usage)
	}
	flags.StringVar(&f.targets.Topic, "topic", f.targets.Topic, "Kafka topic of rating events")
	flags.StringVar(&f.target, "target", "", "the system to check: the URL of a gateway, or a file as for --addresses")
	flags.StringVar(&f.file, "addresses", "", "JSON file with the addresses, as 'serve --addresses FILE' and 'make cluster' write it; flags win over the file")
	flags.StringVar(&f.only, "only", "", "run only the checks whose area or promise matches this regular expression; case is ignored")
	f.output = newOutputFlag(cmd)
	return f
}

// verifyPart is a part of the system with the flag that has its addresses.
type verifyPart struct {
	part        verify.Part
	flag, usage string
	addresses   func(*verify.Targets) *[]string
}

func verifyParts() []verifyPart {
	return []verifyPart{
		{verify.Gateway, "gateway-addr", "URLs of gateways", func(t *verify.Targets) *[]string { return &t.Gateways }},
		{verify.Metadata, "metadata-addr", "gRPC addresses of the metadata service", func(t *verify.Targets) *[]string { return &t.Metadata }},
		{verify.Rating, "rating-addr", "gRPC addresses of the rating service", func(t *verify.Targets) *[]string { return &t.Rating }},
		{verify.Movie, "movie-addr", "gRPC addresses of the movie service", func(t *verify.Targets) *[]string { return &t.Movie }},
		{verify.Kafka, "kafka-brokers", "addresses of Kafka brokers of one cluster", func(t *verify.Targets) *[]string { return &t.Brokers }},
		{verify.Admin, "admin-addr", "URLs of admin listeners", func(t *verify.Targets) *[]string { return &t.Admin }},
	}
}

// aimed returns the addresses given by flags, including --target, and the file with the others.
func (f *verifyFlags) aimed() (targets verify.Targets, file string, err error) {
	url := strings.HasPrefix(f.target, "http://") || strings.HasPrefix(f.target, "https://")
	switch {
	case f.target == "":
		return f.targets, f.file, nil
	case url && len(f.targets.Gateways) > 0:
		return f.targets, "", usagef("--target %s is the URL of a gateway, and --gateway-addr is given, too: name all gateways there", f.target)
	case url:
		targets = f.targets
		targets.Gateways = []string{f.target}
		return targets, f.file, nil
	case f.file != "":
		return f.targets, "", usagef("--target %s is a file with addresses, and --addresses is given, too: give one of them", f.target)
	}
	return f.targets, f.target, nil
}

// resolve returns the addresses to check.
func (f *verifyFlags) resolve(cmd *cobra.Command) (verify.Targets, error) {
	targets, file, err := f.aimed()
	if err != nil {
		return targets, err
	}
	given := func(flag string) bool {
		return cmd.Flags().Changed(flag) || flag == "gateway-addr" && len(targets.Gateways) > 0
	}
	base, some := verify.DefaultTargets(), false
	if file != "" {
		found, err := verify.ReadTargets(file)
		if err != nil {
			return targets, usagef("--addresses: %w", err)
		}
		base = found
		if !given("topic") && found.Topic != "" {
			targets.Topic = found.Topic
		}
	} else {
		some = f.target != "" || slices.ContainsFunc(verifyParts(), func(p verifyPart) bool { return given(p.flag) })
	}
	if targets.Topic == "" {
		return targets, usagef("--topic must not be empty")
	}
	if some {
		return targets, nil
	}
	for _, p := range verifyParts() {
		if !given(p.flag) {
			*p.addresses(&targets) = *p.addresses(&base)
		}
	}
	return targets, nil
}

func runVerify(cmd *cobra.Command, f *verifyFlags) (err error) {
	targets, err := f.resolve(cmd)
	if err != nil {
		return err
	}
	opt := verify.Options{}
	if f.only != "" {
		pattern, err := regexp.Compile("(?i)" + f.only)
		if err != nil {
			return usagef("--only must be a regular expression: %w", err)
		}
		opt.Only = func(s verify.Scenario) bool { return pattern.MatchString(string(s.Area) + ": " + s.Promise) }
		if !slices.ContainsFunc(verify.Scenarios(), opt.Only) {
			return usagef("--only %q matches none of the %d checks; 'verify -o json' lists them", f.only, len(verify.Scenarios()))
		}
	}
	system, err := verify.Open(cmd.Context(), targets)
	switch fault.KindOf(err) {
	case fault.KindInvalid:
		return usagef("%w", err)
	case fault.KindUnavailable:
		return &codedError{code: exitUnreachable, err: fmt.Errorf("%w: is it running? Set its address with --gateway-addr, --rating-addr and so on, or --addresses", err)}
	}
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, system.Close()) }()
	report := system.Run(cmd.Context(), opt)
	out := cmd.OutOrStdout()
	if *f.output == outputJSON {
		err = printJSON(out, report)
	} else {
		err = printReport(out, report)
	}
	switch {
	case err != nil:
		return err
	case cmd.Context().Err() != nil:
		return cmd.Context().Err()
	case report.Count(verify.Fails) > 0:
		return &codedError{code: exitFailed, silent: true, err: errors.New("a promise is not kept")}
	case report.Count(verify.Holds) == 0 && len(report.Unreached) == 0:
		return usagef("nothing was checked: no check can run with the given addresses; the lines above name the missing flags")
	case len(report.Unreached) > 0:
		return &codedError{code: exitUnreachable, silent: true, err: errors.New("a part of the system cannot be reached")}
	}
	return nil
}

// column is an instance in the matrix.
type column struct {
	part    verify.Part
	address string // empty for a part of which none was named
	title   string
}

// columnsOf returns the instances in the results, in order. If a part has several, they are numbered.
func columnsOf(results []verify.Result) []column {
	var columns []column
	count := map[verify.Part]int{}
	add := func(r verify.Result) {
		count[r.Door]++
		columns = append(columns, column{part: r.Door, address: r.Address, title: fmt.Sprintf("%s %d", r.Door, count[r.Door])})
	}
	for _, r := range results {
		if r.Address != "" && !slices.ContainsFunc(columns, func(c column) bool { return c.part == r.Door && c.address == r.Address }) {
			add(r)
		}
	}
	for _, r := range results {
		if count[r.Door] == 0 {
			add(r) // a part without instances has a column, too
		}
	}
	for i := range columns {
		if count[columns[i].part] == 1 {
			columns[i].title = string(columns[i].part)
		}
	}
	return columns
}

// shows reports whether the result belongs in the column. A result without an address belongs in the first column of its part.
func (c column) shows(r verify.Result) bool {
	return c.part == r.Door && (c.address == r.Address || r.Address == "" && (c.title == string(c.part) || strings.HasSuffix(c.title, " 1")))
}

// printReport prints a table for each area, with a line for each promise and a column for each instance. Failures follow their line.
func printReport(w io.Writer, report *verify.Report) error {
	var b strings.Builder
	all := columnsOf(report.Results)
	for _, c := range all {
		if c.address != "" {
			fmt.Fprintf(&b, "%-12s%s\n", c.title, c.address)
		}
	}
	for _, area := range verify.Areas() {
		var results []verify.Result
		for _, r := range report.Results {
			if r.Area == area {
				results = append(results, r)
			}
		}
		if len(results) == 0 {
			continue
		}
		columns := slices.DeleteFunc(slices.Clone(all), func(c column) bool {
			return !slices.ContainsFunc(results, c.shows)
		})
		titles := "  "
		for _, c := range columns {
			titles += fmt.Sprintf("%-*s", widthOf(c), c.title)
		}
		fmt.Fprintf(&b, "\n%s\n%s\n", area, strings.TrimRight(titles, " "))
		for len(results) > 0 {
			n := 1
			for n < len(results) && results[n].Promise == results[0].Promise {
				n++
			}
			printPromise(&b, columns, results[:n])
			results = results[n:]
		}
	}
	printSummary(&b, report)
	_, err := io.WriteString(w, b.String())
	return err
}

func widthOf(c column) int { return max(len(c.title), len(verify.Unreachable)) + 2 }

// printPromise prints a line of the matrix.
func printPromise(b *strings.Builder, columns []column, results []verify.Result) {
	var notes []string
	margin := 2
	b.WriteString("  ")
	for _, c := range columns {
		cell := ""
		for _, r := range results {
			if !c.shows(r) {
				continue
			}
			cell = string(r.Outcome)
			if r.Failure != nil {
				cell = "FAILS"
				notes = append(notes, c.title+" at "+r.Address, "  asked:    "+r.Failure.Asked, "  came:     "+r.Failure.Got, "  promised: "+r.Failure.Promised)
			}
		}
		fmt.Fprintf(b, "%-*s", widthOf(c), cell)
		margin += widthOf(c)
	}
	b.WriteString(results[0].Promise)
	var slowest *verify.Measured
	for _, r := range results {
		if r.Measured != nil && (slowest == nil || r.Measured.Took > slowest.Took) {
			slowest = r.Measured
		}
	}
	if slowest != nil {
		fmt.Fprintf(b, " [%.2f s of %g s]", slowest.Took.Seconds(), slowest.Bound.Seconds())
	}
	if missing := results[0].Missing; len(missing) > 0 {
		fmt.Fprintf(b, " [%s]", hint(results[0].Outcome, missing))
	}
	b.WriteString("\n")
	for _, n := range notes {
		fmt.Fprintf(b, "%*s%s\n", margin, "", n)
	}
}

// hint says what a check that did not run needs.
func hint(o verify.Outcome, missing []verify.Part) string {
	var names []string
	for _, p := range verifyParts() {
		if slices.Contains(missing, p.part) {
			if o == verify.NotAsked {
				names = append(names, "--"+p.flag)
			} else {
				names = append(names, string(p.part))
			}
		}
	}
	if o == verify.NotAsked {
		return "give " + strings.Join(names, " and ")
	}
	return "no answer from " + strings.Join(names, " and ")
}

// printSummary prints what could not be reached or removed, and the counts.
func printSummary(b *strings.Builder, report *verify.Report) {
	b.WriteString("\n")
	for _, u := range report.Unreached {
		fmt.Fprintf(b, "no answer from %s at %s: %s\n", u.Part, u.Address, u.Reason)
	}
	for _, l := range report.Left {
		fmt.Fprintf(b, "left behind: %s\n", l)
	}
	fmt.Fprintf(b, "%d hold, %d fail, %d not asked, %d unreachable; run %s took %s\n", report.Count(verify.Holds), report.Count(verify.Fails),
		report.Count(verify.NotAsked), report.Count(verify.Unreachable), report.Run, report.Took.Round(10*time.Millisecond))
}
