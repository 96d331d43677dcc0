package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"movieexample.com/client"
	"movieexample.com/internal/config"
	"movieexample.com/internal/kafka"
)

// clientFlags are the flags with the addresses of the system that a command talks to.
type clientFlags struct {
	file     string
	given    client.Addresses
	security kafka.Security
	password string            // file with the password for Kafka
	wait     time.Duration     // for a system that is starting
	partFlag map[string]string // part of the system → the flag with its address
	output   *string           // text or json
}

// newClientFlags adds the flags for the parts of the system that a command talks to, and --output.
func newClientFlags(cmd *cobra.Command, parts ...string) *clientFlags {
	f := &clientFlags{given: client.DefaultAddresses(), partFlag: make(map[string]string)}
	flags := cmd.Flags()
	for _, part := range parts {
		switch part {
		case client.Metadata:
			f.partFlag[part] = "metadata-addr"
			flags.StringVar(&f.given.Metadata, "metadata-addr", f.given.Metadata, "gRPC address of the metadata service; separate several instances by commas")
		case client.Rating:
			f.partFlag[part] = "rating-addr"
			flags.StringVar(&f.given.Rating, "rating-addr", f.given.Rating, "gRPC address of the rating service; separate several instances by commas")
		case client.Kafka:
			f.partFlag[part] = "kafka-brokers"
			flags.StringSliceVar(&f.given.Brokers, "kafka-brokers", f.given.Brokers, "addresses of Kafka brokers, separated by commas")
			flags.StringVar(&f.given.Topic, "topic", f.given.Topic, "Kafka topic of rating events")
			f.addKafkaFlags(cmd)
		}
	}
	f.output = newOutputFlag(cmd)
	flags.DurationVar(&f.wait, "wait", defaultWait, "how long to wait for a system that is starting or not up yet; 0 does not wait")
	flags.StringVar(&f.file, "addresses", "", "JSON file with the addresses, as 'serve --addresses FILE' and 'make cluster' write it; flags win over the file")
	return f
}

// addKafkaFlags adds the flags for TLS and login. The password comes from a file, because every user of the machine can read a
// command line.
func (f *clientFlags) addKafkaFlags(cmd *cobra.Command) {
	flags, s := cmd.Flags(), &f.security
	flags.BoolVar(&s.TLS, "kafka-tls", false, "encrypt connections to Kafka with TLS")
	flags.StringVar(&s.CAFile, "kafka-ca-file", "", "CA certificates (PEM) of the brokers; without it, the system's CA certificates")
	flags.StringVar(&s.CertFile, "kafka-cert-file", "", "client certificate (PEM), for brokers that ask for one")
	flags.StringVar(&s.KeyFile, "kafka-key-file", "", "key (PEM) of the client certificate")
	flags.StringVar(&s.ServerName, "kafka-server-name", "", "name in the certificates of the brokers; without it, the host of each broker")
	flags.StringVar(&s.SASLMechanism, "kafka-sasl-mechanism", "", "login mechanism: SCRAM-SHA-512, SCRAM-SHA-256 or PLAIN")
	flags.StringVar(&s.User, "kafka-user", "", "user to log in to Kafka")
	flags.StringVar(&f.password, "kafka-password-file", "", "file with the password to log in to Kafka; trailing newlines are ignored")
	if err := cmd.RegisterFlagCompletionFunc("kafka-sasl-mechanism",
		cobra.FixedCompletions([]string{"SCRAM-SHA-512", "SCRAM-SHA-256", "PLAIN"}, cobra.ShellCompDirectiveNoFileComp)); err != nil {
		panic(err) // the flag was added above
	}
}

// kafkaSecurity returns TLS and login as the flags give them.
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

// kafkaFlag is the flag of a setting of TLS and login.
func kafkaFlag(key string) string {
	name := "--kafka-" + strings.ReplaceAll(key, "_", "-")
	if key == "password" {
		name += "-file"
	}
	return name
}

// problems splits a joined error.
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

// print prints a result: v as JSON, or what text writes.
func (f *clientFlags) print(w io.Writer, v any, text func(io.Writer) error) error {
	if *f.output == outputJSON {
		return printJSON(w, v)
	}
	return text(w)
}

// withClient connects to the system and runs do.
func (f *clientFlags) withClient(cmd *cobra.Command, do func(*client.Client) error) (err error) {
	c, err := f.connect(cmd)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, c.Close()) }()
	return f.explain(do(c))
}

// defaultWait is longer than a system takes to start; maxWait is the largest value of --wait.
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
	tell := func(text string) { fmt.Fprintln(cmd.ErrOrStderr(), "movieexample: "+text) }
	if f.file != "" {
		wait -= f.awaitFile(cmd.Context(), tell)
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
	c.AwaitStart(max(wait, 0), tell)
	return c, nil
}

// awaitFile waits for the file with the addresses, which a system writes when it is ready. It returns how long it waited.
func (f *clientFlags) awaitFile(ctx context.Context, tell func(string)) time.Duration {
	missing := func() bool {
		_, err := os.Stat(f.file)
		return errors.Is(err, fs.ErrNotExist)
	}
	if _, err := os.Stat(filepath.Dir(f.file)); err != nil || f.wait == 0 || !missing() {
		return 0
	}
	began := time.Now()
	tell(fmt.Sprintf("waiting for the file %s, which a system writes when it is ready, for at most %s (--wait)", f.file, f.wait))
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

// explain adds the flag to check to an error about a part of the system that cannot be reached.
func (f *clientFlags) explain(err error) error {
	gone := (*client.UnreachableError)(nil)
	if !errors.As(err, &gone) {
		return err
	}
	return unreachable(err, gone.Addr, f.partFlag[gone.Part], f.file)
}

// unreachable adds what to do to an error about a part of the system that cannot be reached at addr, which flag or file gave.
func unreachable(err error, addr, flag, file string) error {
	if addr == "" && file != "" {
		err = fmt.Errorf("%w: the process that wrote %s does not run it; set --%s", err, file, flag)
	} else {
		err = fmt.Errorf("%w: is it running? Set its address with --%s or --addresses", err, flag)
	}
	return &codedError{code: exitUnreachable, err: err}
}
