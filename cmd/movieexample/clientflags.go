package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"movieexample.com/client"
	"movieexample.com/internal/config"
	"movieexample.com/internal/fault"
	"movieexample.com/internal/kafka"
)

// clientFlags say where the running system is that a command talks to.
type clientFlags struct {
	file     string
	given    client.Addresses
	security kafka.Security
	password string            // file with the password for Kafka
	wait     time.Duration     // for a system that is starting
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
			flags.StringVar(&f.given.Metadata, "metadata-addr", f.given.Metadata, "gRPC address of the metadata service; several of its instances are separated by commas")
		case client.Rating:
			f.partFlag[part] = "rating-addr"
			flags.StringVar(&f.given.Rating, "rating-addr", f.given.Rating, "gRPC address of the rating service; several of its instances are separated by commas")
		case client.Kafka:
			f.partFlag[part] = "kafka-brokers"
			flags.StringSliceVar(&f.given.Brokers, "kafka-brokers", f.given.Brokers, "addresses of Kafka brokers, separated by commas")
			flags.StringVar(&f.given.Topic, "topic", f.given.Topic, "Kafka topic of rating events")
			f.addKafkaFlags(cmd)
		}
	}
	flags.DurationVar(&f.wait, "wait", defaultWait, "wait so long for a system that is starting or not there yet; 0 does not wait")
	flags.StringVar(&f.file, "addresses", "", "JSON file with the addresses, as 'serve --addresses FILE' or 'make cluster' writes it; flags win over it")
	return f
}

// addKafkaFlags are those of TLS and login. The password comes from a file: on a command line everybody on the machine reads it.
func (f *clientFlags) addKafkaFlags(cmd *cobra.Command) {
	flags, s := cmd.Flags(), &f.security
	flags.BoolVar(&s.TLS, "kafka-tls", false, "encrypt connections to Kafka with TLS")
	flags.StringVar(&s.CAFile, "kafka-ca-file", "", "certificates (PEM) that those of the brokers are signed by; without it the system's count")
	flags.StringVar(&s.CertFile, "kafka-cert-file", "", "certificate (PEM) to show to brokers that ask for one")
	flags.StringVar(&s.KeyFile, "kafka-key-file", "", "key (PEM) of that certificate")
	flags.StringVar(&s.ServerName, "kafka-server-name", "", "name in the certificates of the brokers; without it the host of each")
	flags.StringVar(&s.SASLMechanism, "kafka-sasl-mechanism", "", "how to log in to Kafka: SCRAM-SHA-512, SCRAM-SHA-256 or PLAIN")
	flags.StringVar(&s.User, "kafka-user", "", "user to log in to Kafka")
	flags.StringVar(&f.password, "kafka-password-file", "", "file with the password to log in to Kafka; newlines at its end are cut off")
	if err := cmd.RegisterFlagCompletionFunc("kafka-sasl-mechanism",
		cobra.FixedCompletions([]string{"SCRAM-SHA-512", "SCRAM-SHA-256", "PLAIN"}, cobra.ShellCompDirectiveNoFileComp)); err != nil {
		panic(err) // there is such a flag
	}
}

// kafkaSecurity is what those flags say.
func (f *clientFlags) kafkaSecurity(cmd *cobra.Command) (kafka.Security, error) {
	s := f.security
	if cmd.Flags().Changed("kafka-password-file") {
		password, err := config.ReadSecret(f.password)
		if err != nil {
			return s, usagef("--kafka-password-file: %w", err)
		}
		s.Password = password
	}
	var wrong []string
	for _, p := range problems(s.Validate()) {
		wrong = append(wrong, kafkaFlag(p.Path)+" "+p.Reason)
	}
	if len(wrong) > 0 {
		return s, usagef("%s", strings.Join(wrong, "; "))
	}
	return s, nil
}

// kafkaFlag is the flag for a setting of TLS and login.
func kafkaFlag(key string) string {
	name := "--kafka-" + strings.ReplaceAll(key, "_", "-")
	if key == "password" {
		name += "-file"
	}
	return name
}

// problems takes a joined error apart.
func problems(err error) []*config.Problem {
	var list []*config.Problem
	if joined, ok := err.(interface{ Unwrap() []error }); ok {
		for _, e := range joined.Unwrap() {
			list = append(list, problems(e)...)
		}
	} else if p := (*config.Problem)(nil); errors.As(err, &p) {
		list = append(list, p)
	}
	return list
}

// withClient runs do with a connection to the system.
func (f *clientFlags) withClient(cmd *cobra.Command, do func(*client.Client) error) (err error) {
	c, err := f.connect(cmd)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, c.Close()) }()
	return f.explain(do(c))
}

// defaultWait is what a system takes to start, and more; maxWait is the most that may be asked for.
const (
	defaultWait = 10 * time.Second
	maxWait     = 10 * time.Minute
)

// connect prepares the connection to the system. Close it after use.
func (f *clientFlags) connect(cmd *cobra.Command) (*client.Client, error) {
	if f.wait < 0 || f.wait > maxWait {
		return nil, usagef("--wait must be from 0s to %s, got %s", maxWait, f.wait)
	}
	a := f.given
	wait := f.wait
	say := func(text string) { fmt.Fprintln(cmd.ErrOrStderr(), "movieexample: "+text) }
	if f.file != "" {
		wait -= f.awaitFile(cmd.Context(), say)
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
		if !set("topic") {
			a.Topic = found.Topic
		}
	}
	if cmd.Flags().Lookup("topic") != nil && a.Topic == "" {
		return nil, usagef("--topic must not be empty")
	}
	var err error
	if a.KafkaSecurity, err = f.kafkaSecurity(cmd); err != nil {
		return nil, err
	}
	a.KafkaSetting = kafkaFlag
	c, err := client.Connect(a)
	if err != nil {
		return nil, usagef("%w", err)
	}
	c.AwaitStart(max(wait, 0), say)
	return c, nil
}

// awaitFile waits for the file with the addresses, which a system writes when it has started, and returns for how long it did.
func (f *clientFlags) awaitFile(ctx context.Context, say func(string)) time.Duration {
	missing := func() bool {
		_, err := os.Stat(f.file)
		return errors.Is(err, fs.ErrNotExist)
	}
	if _, err := os.Stat(filepath.Dir(f.file)); err != nil || f.wait == 0 || !missing() {
		return 0
	}
	began := time.Now()
	say(fmt.Sprintf("waiting for the file %s, which a system writes when it has started, for at most %s (--wait)", f.file, f.wait))
	ctx, cancel := context.WithTimeout(ctx, f.wait)
	defer cancel()
	tick := time.NewTicker(50 * time.Millisecond)
	defer tick.Stop()
	for missing() {
		select {
		case <-ctx.Done():
			return f.wait
		case <-tick.C:
		}
	}
	return time.Since(began)
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

// usageOfInput makes an error about an argument, or about a file that a flag names, one about usage.
func usageOfInput(err error) error {
	if fault.KindOf(err) == fault.KindInvalid || errors.As(err, new(*config.Problem)) {
		return usagef("%w", err)
	}
	return err
}
