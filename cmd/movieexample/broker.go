package main

import (
	"errors"

	"github.com/spf13/cobra"

	"movieexample.com/internal/kafka"
)

// newBrokerCommand is how serve and demo start the embedded Kafka broker in a process of its own.
func newBrokerCommand() *cobra.Command {
	return &cobra.Command{
		Use:    "broker",
		Short:  "The embedded Kafka broker, as serve and demo start it",
		Hidden: true,
		Args:   noArgs,
		RunE: func(*cobra.Command, []string) error {
			if !kafka.IsBrokerProcess() {
				return usagef("the embedded Kafka broker is started by serve and demo, and not by hand")
			}
			if code := kafka.RunBrokerProcess(); code != 0 {
				return &codedError{code: code, err: errors.New("the embedded Kafka broker ended"), silent: true} // it has told the process above
			}
			return nil
		},
	}
}
