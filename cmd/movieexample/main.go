// Command movieexample is the whole of MovieExample: every service, and every command for those who use and run them.
package main

import (
	"context"
	"os"
	"os/signal"
	"syscall"
)

func main() {
	os.Exit(run())
}

// run turns signals into the end of a context and errors into exit codes. The first signal asks for an orderly stop; a
// second one, no longer caught, ends the process as signals do.
func run() int {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	go func() {
		<-ctx.Done()
		stop()
	}()
	root := newRootCommand()
	return exitCode(root, root.ExecuteContext(ctx))
}
