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

// healthTimeout is longer than the checks of /readyz may take, so that the answer with their results arrives.
const healthTimeout = 4 * time.Second

const healthHelp = `Ask the process on this host whether it is ready. This is the health check of a container whose image has only this program.

It reads the address of the admin listener (listen.admin) from the same flags, environment and file as that process; other
settings are ignored. Failed checks are printed to standard error.

Exit codes: 0 ready, 1 not ready, 2 the settings are wrong.`

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
	mustAddFlags(cmd, s, "config", "listen-admin")
	cmd.Flags().BoolVar(&live, "live", false, "ask only whether the process is alive (/livez)")
	return cmd
}

// adminURL is the URL, on this host, of an admin listener that listens on addr.
func adminURL(addr string) (string, error) {
	host, port, err := net.SplitHostPort(addr)
	if err != nil {
		return "", fmt.Errorf("listen.admin must be host:port, got %q", addr)
	}
	if port == "0" {
		return "", errors.New("listen.admin has port 0, so the process chose a free port: give it a fixed port to check its health")
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
		return fmt.Errorf("no answer: %w", err)
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
