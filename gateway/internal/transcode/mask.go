package transcode

import (
	"fmt"
	"strings"

	"movieexample.com/gateway/internal/problem"
	"movieexample.com/internal/fault"
)

// fieldsParam is the query parameter of every route that selects fields of the answer: paths with dots, relative to the answer,
// separated by commas; the paths go through lists. A selection is a shorter plan, so a field that is left out costs nothing here. The
// services do not see the parameter: a page token stays valid with other fields.
const fieldsParam = "fields"

// maxPaths bounds the work that one mask makes.
const maxPaths = 50

// wanted is what a mask says of one message: by field, all of it (nil) or some of its members.
type wanted map[int]wanted

// masked returns the plan for the part of the message that paths names, or what is wrong with paths, which is not empty.
func (p *Plan) masked(paths string) (*Plan, []fault.Field) {
	if n := strings.Count(paths, ",") + 1; n > maxPaths {
		return nil, []fault.Field{{Name: fieldsParam, Reason: fmt.Sprintf("must be at most %d paths, got %d", maxPaths, n)}}
	}
	want := wanted{}
	var wrong []fault.Field
	for path := range strings.SplitSeq(paths, ",") {
		if reason := p.want(want, path); reason != "" && len(wrong) < maxComplaints {
			wrong = append(wrong, fault.Field{Name: fieldsParam, Reason: reason})
		}
	}
	if len(wrong) > 0 {
		return nil, wrong
	}
	return p.only(want), nil
}

// want adds a path to want, or says what is wrong with it.
func (p *Plan) want(want wanted, path string) string {
	if path == "" {
		return "has an empty path: separate paths by one comma, such as " + p.names("")
	}
	rest, done := path, "" // done is the part of the path behind us, with a dot at its end
	for {
		name, below, more := strings.Cut(rest, ".")
		at := p.find(name)
		if at < 0 {
			return fmt.Sprintf("%s is not known; allowed: %s", problem.Quote(path), p.names(done))
		}
		f := &p.fields[at]
		inner, seen := want[at]
		if seen && inner == nil { // all of it is wanted already, but the rest of the path must be correct too
			inner = wanted{}
		} else if !more {
			want[at] = nil
		} else if !seen {
			inner = wanted{}
			want[at] = inner
		}
		if !more {
			return ""
		}
		if f.inner == nil {
			return fmt.Sprintf("%s is not known: %s has no members, leave %s out", problem.Quote(path), problem.Quote(done+f.name), problem.Quote("."+below))
		}
		want, p, rest, done = inner, f.inner, below, done+f.name+"."
	}
}

// find returns the index of the field with that name, in either spelling, else -1.
func (p *Plan) find(name string) int {
	for i := range p.fields {
		if f := &p.fields[i]; f.name == name || f.proto == name {
			return i
		}
	}
	return -1
}

// names lists the names that may follow prefix.
func (p *Plan) names(prefix string) string {
	if len(p.fields) == 0 {
		return "none, the answer has no fields"
	}
	var b strings.Builder
	for i := range p.fields {
		if i > 0 {
			b.WriteString(", ")
		}
		b.WriteString(prefix + p.fields[i].name)
	}
	return b.String()
}

// only returns a plan with what is wanted, in the plan's order.
func (p *Plan) only(want wanted) *Plan {
	part := &Plan{typ: p.typ, fields: make([]field, 0, len(want))}
	for i := range p.fields {
		inner, ok := want[i]
		if !ok {
			continue
		}
		f := p.fields[i]
		if inner != nil {
			f.setInner(f.inner.only(inner))
		}
		part.fields = append(part.fields, f)
	}
	return part
}
