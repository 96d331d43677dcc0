package loadtest

import (
	"errors"
	"fmt"
	"math/rand/v2"
	"slices"
	"strconv"
	"strings"
)

// Share is how much of a load is requests of a kind: its weight, divided by the sum of all weights.
type Share struct {
	Kind   string
	Weight float64
}

// Mix says what kinds of requests a load is made of. As text it is "rest-details=70,rest-search=30".
type Mix []Share

// DefaultMix is a reader's: it changes nothing in the system.
func DefaultMix() Mix {
	return Mix{{"rest-details", 40}, {"rest-search", 20}, {"rest-chart", 10}, {"rest-list", 10}, {"page", 10}, {"grpc-details", 10}}
}

// String is the form that Set takes.
func (m *Mix) String() string {
	parts := make([]string, 0, len(*m))
	for _, s := range *m {
		parts = append(parts, s.Kind+"="+strconv.FormatFloat(s.Weight, 'g', -1, 64))
	}
	return strings.Join(parts, ",")
}

// Set takes kinds with weights, separated by commas; a kind without a weight has 1.
func (m *Mix) Set(text string) error {
	var mix Mix
	for part := range strings.SplitSeq(text, ",") {
		kind, weight, given := strings.Cut(strings.TrimSpace(part), "=")
		s := Share{Kind: kind, Weight: 1}
		if given {
			var err error
			if s.Weight, err = strconv.ParseFloat(weight, 64); err != nil {
				return fmt.Errorf("must give each kind a number, such as %s=10, got %q", kind, part)
			}
		}
		mix = append(mix, s)
	}
	if err := mix.validate(); err != nil {
		return err
	}
	*m = mix
	return nil
}

// Type names the values.
func (m *Mix) Type() string { return "KIND=WEIGHT,…" }

func (m Mix) validate() error {
	if len(m) == 0 {
		return errors.New("must name at least one kind of request")
	}
	seen := make(map[string]bool)
	for _, s := range m {
		if !slices.ContainsFunc(operations(), func(o operation) bool { return o.kind == s.Kind }) {
			return fmt.Errorf("must be of the kinds %s, got %q", strings.Join(kinds(), ", "), s.Kind)
		}
		if !(s.Weight > 0 && s.Weight <= 1e6) {
			return fmt.Errorf("must have weights above 0 and at most 1000000, got %v for %s", s.Weight, s.Kind)
		}
		if seen[s.Kind] {
			return fmt.Errorf("must name each kind once, got %s twice", s.Kind)
		}
		seen[s.Kind] = true
	}
	return nil
}

func kinds() []string {
	var names []string
	for _, o := range operations() {
		names = append(names, o.kind)
	}
	return names
}

// Writes returns the kinds of the mix that change the system.
func (m Mix) Writes() []string {
	var names []string
	for _, o := range m.operations() {
		if o.writes {
			names = append(names, o.kind)
		}
	}
	return names
}

// operations are those of a valid mix, in its order.
func (m Mix) operations() []operation {
	all := operations()
	var of []operation
	for _, s := range m {
		if i := slices.IndexFunc(all, func(o operation) bool { return o.kind == s.Kind }); i >= 0 {
			of = append(of, all[i])
		}
	}
	return of
}

// needs reports whether the mix has requests for an endpoint.
func (m Mix) needs(d endpoint) bool {
	return slices.ContainsFunc(m.operations(), func(o operation) bool { return o.endpoint == d })
}

// choice returns a function that draws an index of the mix.
func (m Mix) choice() func(*rand.Rand) int {
	sums := make([]float64, len(m))
	sum := 0.0
	for i, s := range m {
		sum += s.Weight
		sums[i] = sum
	}
	return func(r *rand.Rand) int {
		x := r.Float64() * sum
		return min(len(m)-1, slices.IndexFunc(sums, func(s float64) bool { return x < s || s == sum }))
	}
}
