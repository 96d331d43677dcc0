//go:build servers

package chaos_test

import (
	"fmt"
	"strings"
	"time"
)

// report are the longest recovery times of each fault.
type report struct {
	faults []string
	most   map[string]map[string]time.Duration
	rounds map[string]int
}

func newReport() *report {
	return &report{most: map[string]map[string]time.Duration{}, rounds: map[string]int{}}
}

func (r *report) add(fault string, took map[string]time.Duration) {
	if r.most[fault] == nil {
		r.faults = append(r.faults, fault)
		r.most[fault] = map[string]time.Duration{}
	}
	r.rounds[fault]++
	for what, d := range took {
		r.most[fault][what] = max(r.most[fault][what], d)
	}
}

// columns are what a recovery time is of.
func columns() []string {
	list := []string{"partitions owned", "ingestion", "all ready"}
	for _, k := range kinds() {
		list = append(list, string(k))
	}
	return list
}

// String is a table in Markdown, in seconds.
func (r *report) String() string {
	var b strings.Builder
	fmt.Fprintf(&b, "| fault | rounds | %s |\n|---|--:|%s\n", strings.Join(columns(), " | "), strings.Repeat("--:|", len(columns())))
	for _, f := range r.faults {
		fmt.Fprintf(&b, "| %s | %d |", f, r.rounds[f])
		for _, c := range columns() {
			if d, ok := r.most[f][c]; ok {
				fmt.Fprintf(&b, " %.1f |", d.Seconds())
			} else {
				b.WriteString(" |")
			}
		}
		b.WriteString("\n")
	}
	return b.String()
}

func inOrder(took map[string]time.Duration) string {
	var parts []string
	for _, c := range columns() {
		if d, ok := took[c]; ok {
			parts = append(parts, fmt.Sprintf("%s %.1fs", c, d.Seconds()))
		}
	}
	return strings.Join(parts, ", ")
}

// The goals. Nothing fails by them: what takes long on a machine that is busy is told, and bounds nothing.
const (
	ownedGoal    = 15 * time.Second // partitions, whatever the fault
	databaseGoal = 15 * time.Second
	brokerGoal   = 20 * time.Second
	serviceGoal  = 5 * time.Second
)

// goal is how long a fault may be felt, by its name.
func goal(fault string) time.Duration {
	switch {
	case strings.HasPrefix(fault, "mariadb"), strings.HasPrefix(fault, "disk"), strings.HasPrefix(fault, "commit"):
		return databaseGoal
	case strings.HasPrefix(fault, "kafka"):
		return brokerGoal
	}
	return serviceGoal
}

// missed says which goals were missed.
func (r *report) missed() string {
	var missed []string
	for _, f := range r.faults {
		for _, c := range columns() {
			limit := goal(f)
			switch c {
			case "partitions owned":
				limit = ownedGoal
			case "ingestion": // which waits for an owner
				limit = max(limit, ownedGoal)
			}
			if d := r.most[f][c]; d > limit {
				missed = append(missed, fmt.Sprintf("%s: %s after %.1f s, the goal is %.0f s", f, c, d.Seconds(), limit.Seconds()))
			}
		}
	}
	if len(missed) == 0 {
		return "all goals are met"
	}
	return "goals missed:\n" + strings.Join(missed, "\n")
}
