package config

import (
	"errors"
	"strings"
)

// Problem is one thing that is wrong with the settings, in words for the operator.
type Problem struct {
	Path   string // the setting: "rating.chart_min_votes"; empty where no setting is concerned
	Origin string // where it was set: "config.yaml:12", "MOVIEEXAMPLE_…", "--flag"; empty when unknown
	Reason string // what was given and what is allowed
}

// Error is one line: path, place, reason.
func (p *Problem) Error() string {
	switch {
	case p.Path == "" && p.Origin == "":
		return p.Reason
	case p.Path == "":
		return p.Origin + ": " + p.Reason
	case p.Origin == "":
		return p.Path + ": " + p.Reason
	}
	return p.Path + " (" + p.Origin + "): " + p.Reason
}

// Under adds the path of a section to the error of a nested config type's Validate method: it is prepended to the path of each
// Problem; any other error becomes a Problem of the section itself. Nil stays nil.
func Under(section string, err error) error {
	return eachProblem(err, func(p Problem) Problem {
		p.Path = strings.Trim(section+"."+p.Path, ".")
		return p
	})
}

// eachProblem rewrites the problems of a joined error, keeping their order.
func eachProblem(err error, rewrite func(Problem) Problem) error {
	if err == nil {
		return nil
	}
	if joined, ok := err.(interface{ Unwrap() []error }); ok {
		var list []error
		for _, e := range joined.Unwrap() {
			list = append(list, eachProblem(e, rewrite))
		}
		return errors.Join(list...)
	}
	p := &Problem{Reason: err.Error()}
	if found, ok := err.(*Problem); ok {
		p = found
	}
	changed := rewrite(*p)
	return &changed
}
