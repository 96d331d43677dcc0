package main

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"time"

	"github.com/spf13/cobra"

	"movieexample.com/app"
)

// healthTimeout is above the time that /readyz gives its checks, so that its reasons arrive.
const healthTimeout = 4 * time.Second

const healthHelp = `Ask the process beside this one whether it is ready: for the health check of a container whose image has nothing but this
program.

It looks for the admin listener where that process has it by the same flags, environment and file: other settings than
listen_admin do not matter. Checks that fail are printed to standard error.

Exit codes: 0 ready, 1 not, 2 the settings are wrong.`

func newHealthcheckCommand() *cobra.Command {
	s := &settings{}
	var live bool
	cmd := &cobra.Command{
		Use:   "healthcheck",
		Short: "Ask whether the process on this host is ready",
		Long:  healthHelp,
		Example: `  movieexample healthcheck
  movieexample healthcheck --live --listen-admin 127.0.0.1:9090`,
		Args: noArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			if err := s.read(func(app.Config) error { return nil }); err != nil {
				return err
			}
			url, err := adminURL(s.cfg.Listen.Admin)
			if err != nil {
				return usagef("%w", err)
			}
			if live {
				return askHealth(cmd.Context(), url+"/livez")
			}
			return askHealth(cmd.Context(), url+"/readyz")
		},
	}
	mustAddFlags(cmd, s)
	cmd.Flags().BoolVar(&live, "live", false, "ask only whether the process lives (/livez)")
	return cmd
}

// adminURL is where the admin listener that listens on addr is asked from the same host.
func adminURL(addr string) (string, error) {
	host, port, err := net.SplitHostPort(addr)
	if err != nil {
		return "", fmt.Errorf("listen.admin must be host:port, got %q", addr)
	}
	if port == "0" {
		return "", errors.New("listen.admin has port 0, which says that the process chose one by itself: give it a fixed port to check its health")
	}
	switch ip := net.ParseIP(host); {
	case host == "" || ip != nil && ip.IsUnspecified() && ip.To4() != nil:
		host = "127.0.0.1"
	case ip != nil && ip.IsUnspecified():
		host = "::1"
	}
	return "http://" + net.JoinHostPort(host, port), nil
}

func askHealth(ctx context.Context, url string) error {
	ctx, cancel := context.WithTimeout(ctx, healthTimeout)
	defer cancel()
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, url, nil)
	if err != nil {
		return err
	}
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		return fmt.Errorf("nobody answers: %w", err)
	}
	defer resp.Body.Close()
	text, err := io.ReadAll(io.LimitReader(resp.Body, 64<<10))
	if err != nil {
		return fmt.Errorf("ask %s: %w", url, err)
	}
	if resp.StatusCode != http.StatusOK {
		return fmt.Errorf("%s answers %s:\n%s", url, resp.Status, bytes.TrimSpace(text))
	}
	return nil
}
