//go:build linux

package servers

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"os"
	"path/filepath"
	"strings"
)

// PrometheusConfig says what is scraped. All is scraped and evaluated four times a second.
type PrometheusConfig struct {
	// Job is the name of the scrape job, and Targets are its addresses, host:port.
	Job     string
	Targets []string
	// Rules is the text of a rule file; empty is none.
	Rules string
}

// Prometheus is a running server.
type Prometheus struct {
	Process
	room *room
	port int
}

// StartPrometheus starts a server and returns when it is ready; ctx bounds the start and not the server's life.
func StartPrometheus(ctx context.Context, c PrometheusConfig) (_ *Prometheus, err error) {
	server, err := lookup("prometheus", "prometheus")
	if err != nil {
		return nil, err
	}
	r, err := newRoom("prometheus", "")
	if err != nil {
		return nil, err
	}
	p := &Prometheus{room: r}
	defer func() {
		if err != nil {
			err = errors.Join(err, p.Close())
		}
	}()
	if p.port, err = r.port(); err != nil {
		return nil, err
	}
	// JSON is YAML too, and needs no quoting by hand.
	settings, err := json.Marshal(map[string]any{
		"global":     map[string]any{"scrape_interval": "250ms", "scrape_timeout": "250ms", "evaluation_interval": "250ms"},
		"rule_files": []string{"rules.yaml"},
		"scrape_configs": []any{map[string]any{
			"job_name": c.Job, "static_configs": []any{map[string]any{"targets": c.Targets}},
		}},
	})
	if err != nil {
		return nil, err
	}
	for name, text := range map[string]string{"prometheus.yaml": string(settings), "rules.yaml": c.Rules} {
		if err := os.WriteFile(filepath.Join(r.dir, name), []byte(text), 0o644); err != nil {
			return nil, err
		}
	}
	p.program = program{
		name: "Prometheus on " + p.Address(),
		path: server,
		args: []string{
			"--config.file=" + filepath.Join(r.dir, "prometheus.yaml"),
			"--storage.tsdb.path=" + filepath.Join(r.dir, "data"),
			"--web.listen-address=" + p.Address(),
		},
		dir: r.dir,
		log: filepath.Join(r.dir, "prometheus.log"),
		ready: func(ctx context.Context) error {
			_, err := p.get(ctx, "/-/ready")
			return err
		},
	}
	if err := p.Start(ctx); err != nil {
		return nil, err
	}
	return p, nil
}

// Address is host:port.
func (p *Prometheus) Address() string { return address(p.port) }

// Alert is an alert that is pending or firing.
type Alert struct {
	Labels map[string]string `json:"labels"`
	State  string            `json:"state"`
}

// Firing are the names of the alerts that fire, with all their labels.
func (p *Prometheus) Firing(ctx context.Context) ([]Alert, error) {
	var data struct{ Alerts []Alert }
	if err := p.query(ctx, "/api/v1/alerts", &data); err != nil {
		return nil, err
	}
	var firing []Alert
	for _, a := range data.Alerts {
		if a.State == "firing" {
			firing = append(firing, a)
		}
	}
	return firing, nil
}

// Series is how many series an expression yields now.
func (p *Prometheus) Series(ctx context.Context, expression string) (int, error) {
	var data struct{ Result []json.RawMessage }
	if err := p.query(ctx, "/api/v1/query?query="+url.QueryEscape(expression), &data); err != nil {
		return 0, err
	}
	return len(data.Result), nil
}

// query reads the data of an answer of the API.
func (p *Prometheus) query(ctx context.Context, path string, data any) error {
	text, err := p.get(ctx, path)
	if err != nil {
		return err
	}
	var answer struct{ Data json.RawMessage }
	if err := json.Unmarshal(text, &answer); err != nil {
		return fmt.Errorf("%s: %w", p.name, err)
	}
	return json.Unmarshal(answer.Data, data)
}

func (p *Prometheus) get(ctx context.Context, path string) ([]byte, error) {
	ctx, cancel := context.WithTimeout(ctx, readyPatience)
	defer cancel()
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, "http://"+p.Address()+path, nil)
	if err != nil {
		return nil, err
	}
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		return nil, err
	}
	defer resp.Body.Close()
	text, err := io.ReadAll(resp.Body)
	if err != nil {
		return nil, err
	}
	if resp.StatusCode != http.StatusOK {
		return nil, fmt.Errorf("%s answers %s to %s: %s", p.name, resp.Status, path, strings.TrimSpace(string(text)))
	}
	return text, nil
}

// Close ends the server, with SIGKILL where it runs, and removes its directory. It may be called twice.
func (p *Prometheus) Close() error { return errors.Join(p.end(), p.room.close()) }
