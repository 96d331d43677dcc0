package main

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"strconv"
	"strings"

	"github.com/spf13/cobra"

	"movieexample.com/client"
	"movieexample.com/internal/fault"
)

// clientFlags say where the running system is that a command talks to.
type clientFlags struct {
	file     string
	given    client.Addresses
	partFlag map[string]string // part of the system → the flag that says where it is
}

// newClientFlags gives a command the flags for the parts of the system that it talks to.
func newClientFlags(cmd *cobra.Command, parts ...string) *clientFlags {
	f := &clientFlags{given: client.DefaultAddresses(), partFlag: make(map[string]string)}
	flags := cmd.Flags()
	for _, part := range parts {
		switch part {
		case client.Metadata:
			f.partFlag[part] = "metadata-addr"
			flags.StringVar(&f.given.Metadata, "metadata-addr", f.given.Metadata, "gRPC address of the metadata service")
		case client.Rating:
			f.partFlag[part] = "rating-addr"
			flags.StringVar(&f.given.Rating, "rating-addr", f.given.Rating, "gRPC address of the rating service")
		case client.Kafka:
			f.partFlag[part] = "kafka-brokers"
			flags.StringSliceVar(&f.given.Brokers, "kafka-brokers", f.given.Brokers, "addresses of Kafka brokers, separated by commas")
			flags.StringVar(&f.given.Topic, "topic", f.given.Topic, "Kafka topic of rating events")
		}
	}
	flags.StringVar(&f.file, "addresses", "", "JSON file with the addresses, as 'serve --addresses FILE' writes it; flags win over it")
	return f
}

// connect prepares the connection to the system. Close it after use.
func (f *clientFlags) connect(cmd *cobra.Command) (*client.Client, error) {
	a := f.given
	if f.file != "" {
		found, err := client.ReadAddresses(f.file)
		if err != nil {
			return nil, usagef("--addresses: %w", err)
		}
		set := func(flag string) bool { return cmd.Flags().Changed(flag) }
		if !set("metadata-addr") {
			a.Metadata = found.Metadata
		}
		if !set("rating-addr") {
			a.Rating = found.Rating
		}
		if !set("kafka-brokers") {
			a.Brokers = found.Brokers
		}
	}
	if cmd.Flags().Lookup("topic") != nil && a.Topic == "" {
		return nil, usagef("--topic must not be empty")
	}
	c, err := client.Connect(a)
	if err != nil {
		return nil, usagef("%w", err)
	}
	return c, nil
}

// explain says which flag to look at when a part of the system could not be reached.
func (f *clientFlags) explain(err error) error {
	gone := (*client.UnreachableError)(nil)
	if !errors.As(err, &gone) {
		return err
	}
	flag := f.partFlag[gone.Part]
	if gone.Addr == "" {
		return &codedError{code: exitUnreachable, err: fmt.Errorf("%w: the process that wrote %s does not run it; give the address by --%s", err, f.file, flag)}
	}
	return &codedError{code: exitUnreachable, err: fmt.Errorf("%w: is it running? Another address is given by --%s or --addresses", err, flag)}
}

// outputFlag is how results are printed.
type outputFlag string

const (
	outputText outputFlag = "text"
	outputJSON outputFlag = "json"
)

func newOutputFlag(cmd *cobra.Command) *outputFlag {
	o := outputText
	cmd.Flags().VarP(&o, "output", "o", "how to print the result: text or json")
	if err := cmd.RegisterFlagCompletionFunc("output", cobra.FixedCompletions([]string{"text", "json"}, cobra.ShellCompDirectiveNoFileComp)); err != nil {
		panic(err) // there is such a flag
	}
	return &o
}

// String, Set and Type make it a flag.
func (o *outputFlag) String() string { return string(*o) }

func (o *outputFlag) Set(s string) error {
	switch v := outputFlag(s); v {
	case outputText, outputJSON:
		*o = v
		return nil
	}
	return fmt.Errorf("must be text or json, got %q", s)
}

func (o *outputFlag) Type() string { return "FORMAT" }

// printJSON prints a result on one or more lines.
func printJSON(w io.Writer, v any) error {
	e := json.NewEncoder(w)
	e.SetIndent("", "  ")
	e.SetEscapeHTML(false)
	return e.Encode(v)
}

// grouped writes a number with commas between groups of three digits.
func grouped(n int64) string {
	s := strconv.FormatInt(n, 10)
	start := len(s) % 3
	if n < 0 {
		start = (len(s)-1)%3 + 1
	}
	var b strings.Builder
	b.WriteString(s[:start])
	for i := start; i < len(s); i += 3 {
		if b.Len() > 0 && s[:i] != "-" {
			b.WriteByte(',')
		}
		b.WriteString(s[i : i+3])
	}
	return b.String()
}

// counted is a number with its noun in the right form.
func counted(n int64, one, many string) string {
	if n == 1 {
		return "1 " + one
	}
	return grouped(n) + " " + many
}

// usageOfInput makes an error about an argument one about usage.
func usageOfInput(err error) error {
	if fault.KindOf(err) == fault.KindInvalid {
		return usagef("%w", err)
	}
	return err
}
