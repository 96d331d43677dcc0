package cache

import (
	"fmt"
	"strings"
)

// Spec declares a cache. Everything but the bound is for people; docs/architecture.md has it as a row of its table.
type Spec struct {
	Name  string // in the label "cache" of the metrics: the service and what is cached
	Holds string // what an entry is
	// Entries bounds the cache in entries, Bytes in what its values weigh; exactly one is set. Setting is the setting that changes
	// it, if any.
	Entries, Bytes int
	Setting        string
	MaxAge         string // how old a value may be when it is served and the source answers
	Fresh          string // what makes a value fresh again
	Away           string // what is served while the source is down
}

func (s Spec) validate() error {
	switch {
	case s.Name == "" || s.Holds == "" || s.MaxAge == "" || s.Fresh == "" || s.Away == "":
		return fmt.Errorf("cache %q: a declaration needs a name, contents, maximum age, what refreshes it, and what is served while the source is down", s.Name)
	case s.Entries < 0 || s.Bytes < 0 || (s.Entries > 0) == (s.Bytes > 0):
		return fmt.Errorf("cache %q: a declaration needs exactly one bound, in entries or in bytes", s.Name)
	}
	return nil
}

// Bound is the bound in words.
func (s Spec) Bound() string {
	bound := fmt.Sprintf("%d", s.Entries)
	if s.Bytes > 0 {
		bound = fmt.Sprintf("%d MiB", s.Bytes>>20)
	}
	if s.Setting != "" {
		bound += " (`" + s.Setting + "`)"
	}
	return bound
}

// Row is the declaration as a row of the table in docs/architecture.md.
func (s Spec) Row() string {
	return "| " + strings.Join([]string{"`" + s.Name + "`", s.Holds, s.Bound(), s.MaxAge, s.Fresh, s.Away}, " | ") + " |"
}
