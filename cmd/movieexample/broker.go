package main

import (
	"errors"

	"github.com/spf13/cobra"

	"movieexample.com/internal/kafka"
)

// newBrokerCommand returns the command by which serve and demo start the embedded Kafka broker as a child process.
func newBrokerCommand() *cobra.Command {
	return &cobra.Command{
		Use:    "broker",
		Short:  "The embedded Kafka broker, as serve and demo start it",
		Hidden: true,
		Args:   noArgs,
		RunE: func(*cobra.Command, []string) error {
			if !kafka.IsBrokerProcess() {
				return usagef("serve and demo start the embedded Kafka broker; it cannot be started by hand")
			}
			if code := kafka.RunBrokerProcess(); code != 0 {
				return &codedError{code: code, err: errors.New("the embedded Kafka broker ended"), silent: true} // the child has told its parent
			}
			return nil
		},
	}
}
