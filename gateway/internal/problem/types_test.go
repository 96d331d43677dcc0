package problem

import (
	"encoding/json"
	"testing"

	"movieexample.com/internal/fault"
)

// Every kind of fault and every refusal of the HTTP layer is in the list, with all that its page needs; and nothing else is.
func TestEveryProblemHasAType(t *testing.T) {
	listed := map[string]Explanation{}
	for _, p := range Explanations() {
		if listed[p.Slug].Slug != "" {
			t.Errorf("%s is listed twice", p.Slug)
		}
		listed[p.Slug] = p
		if p.Slug == "" || p.Title == "" || p.Status < 400 || p.Status > 599 || len(p.Meaning) < 40 || len(p.Remedy) < 20 {
			t.Errorf("%+v: something is missing", p)
		}
		var example fault.Problem
		if err := json.Unmarshal([]byte(p.Example), &example); err != nil || example.Type != base+p.Slug || example.Title != p.Title ||
			example.Status != p.Status || example.Detail == "" || example.Instance == "" {
			t.Errorf("%s: its example is another problem: %s (%v)", p.Slug, p.Example, err)
		}
	}
	known := map[string]bool{}
	check := func(p fault.Problem) {
		slug := p.Type[len(base):]
		known[slug] = true
		if got := listed[slug]; got.Title != p.Title || got.Status != p.Status {
			t.Errorf("%s %d %q is listed as %d %q", p.Type, p.Status, p.Title, got.Status, got.Title)
		}
	}
	// A kind that is out of range counts as internal; there are fewer than 200.
	for kind := range fault.Kind(200) {
		check(fault.ToProblem(fault.Status(&fault.Error{Kind: kind, Msg: "told"})))
	}
	for r := range types {
		check(r.problem())
	}
	if len(known) != len(listed) || len(known) != int(types)+len(problemKinds) || len(kindTypes) != len(problemKinds) {
		t.Errorf("%d types can occur, %d are listed, %d kinds and %d refusals are explained", len(known), len(listed), len(kindTypes), types)
	}
}
