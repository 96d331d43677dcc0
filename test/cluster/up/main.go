//go:build linux

// Command up is a cluster for people, behind `make cluster` and `make cluster-down`:
//
//	up start [--dir D] [--brokers 3] [--discovery consul|static]   starts one in the background, prints where everything is
//	up stop  [--dir D]                                             stops it, and says what did not stop
//	up run   [--dir D] …                                           is what start starts: the cluster in the foreground
//
// The data stay in D; the next start continues with them, on other ports. A process of the system that ends is started again
// after two seconds, as a container would be; whatever ends `up run` ends everything.
package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/signal"
	"path/filepath"
	"syscall"

	"github.com/spf13/pflag"
)

func main() {
	ctx, cancel := signal.NotifyContext(context.Background(), syscall.SIGTERM, os.Interrupt)
	err := command(ctx, os.Args[1:], os.Stdout, os.Stderr)
	cancel()
	if err != nil && !errors.Is(err, pflag.ErrHelp) {
		fmt.Fprintln(os.Stderr, "cluster:", err)
		os.Exit(1)
	}
}

// options are the arguments.
type options struct {
	dir     string
	brokers int
	static  bool
}

func command(ctx context.Context, args []string, stdout, stderr io.Writer) error {
	var o options
	var discovery string
	flags := pflag.NewFlagSet("up", pflag.ContinueOnError)
	flags.SetOutput(stderr)
	flags.StringVar(&o.dir, "dir", filepath.Join("tmp", "cluster"), "directory for data, logs and addresses, which stay there")
	flags.IntVar(&o.brokers, "brokers", 1, "how many Kafka brokers: 1 or 3")
	flags.StringVar(&discovery, "discovery", "consul", "how processes find each other: consul or static, a file")
	if err := flags.Parse(args); err != nil {
		return err
	}
	if flags.NArg() != 1 {
		return errors.New("give one of start, stop and run")
	}
	if o.brokers != 1 && o.brokers != 3 {
		return fmt.Errorf("--brokers must be 1 or 3, got %d", o.brokers)
	}
	switch discovery {
	case "consul":
	case "static":
		o.static = true
	default:
		return fmt.Errorf("--discovery must be consul or static, got %q", discovery)
	}
	var err error
	if o.dir, err = filepath.Abs(o.dir); err != nil {
		return err
	}
	switch what := flags.Arg(0); what {
	case "start":
		return start(ctx, o, args, stdout)
	case "stop":
		return stop(ctx, o, stdout)
	case "run":
		return run(ctx, o, stderr)
	default:
		return fmt.Errorf("there is no %q: give start, stop or run", what)
	}
}
