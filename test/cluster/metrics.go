//go:build linux

package cluster

import (
	"context"
	"fmt"
	"strconv"
	"strings"
)

// Metrics are the samples of one scrape, by series as it is written: name, or name{label="value",…}.
type Metrics map[string]float64

// Metrics scrapes the process.
func (p *Process) Metrics(ctx context.Context) (Metrics, error) {
	text, err := p.admin(ctx, "/metrics")
	if err != nil {
		return nil, err
	}
	m, err := parseMetrics(string(text))
	if err != nil {
		return nil, fmt.Errorf("metrics of %s: %w", p.Name, err)
	}
	return m, nil
}

// Sum adds up the series of a name that have all labels given, each as it is written: `result="applied"`. It is 0 where there
// is no such series.
func (m Metrics) Sum(name string, labels ...string) float64 {
	var sum float64
	for series, value := range m {
		of, rest, _ := strings.Cut(series, "{")
		if of != name {
			continue
		}
		rest = "," + strings.TrimSuffix(rest, "}") + ","
		has := true
		for _, l := range labels {
			has = has && strings.Contains(rest, ","+l+",")
		}
		if has {
			sum += value
		}
	}
	return sum
}

// parseMetrics reads Prometheus' text format: https://prometheus.io/docs/instrumenting/exposition_formats. Our metrics have no
// timestamps, and no braces or spaces behind their labels.
func parseMetrics(text string) (Metrics, error) {
	m := make(Metrics)
	for line := range strings.Lines(text) {
		line = strings.TrimSpace(line)
		if line == "" || strings.HasPrefix(line, "#") {
			continue
		}
		space := strings.LastIndexByte(line, ' ')
		if space < 0 {
			return nil, fmt.Errorf("line %q has no value", line)
		}
		value, err := strconv.ParseFloat(line[space+1:], 64)
		if err != nil {
			return nil, fmt.Errorf("line %q: %w", line, err)
		}
		m[line[:space]] = value
	}
	return m, nil
}
