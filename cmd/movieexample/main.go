// Command movieexample is all of MovieExample: the services, and the commands of users and operators.
package main

import (
	"context"
	"os"
	"os/signal"
	"syscall"
)

func main() {
	os.Exit(execute())
}

// execute turns signals into the end of a context and errors into exit codes. The first signal stops the process in order. A second
// one is no longer caught and kills it.
func execute() int {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	go func() {
		<-ctx.Done()
		stop()
	}()
	root := newRootCommand()
	return exitCode(root, root.ExecuteContext(ctx))
}
