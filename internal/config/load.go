package config

import (
	"errors"
)

// LoadOptions names the sources of one Load. The zero value reads flags only.
type LoadOptions struct {
	File      string   // YAML file; empty for none
	Environ   []string // "NAME=value" lines, as os.Environ returns them; other programs' variables are passed over
	IgnoreEnv []string // whole names that begin with EnvPrefix but are no settings, such as MOVIEEXAMPLE_CONFIG
	// Validate checks the meaning of the values; nil checks nothing. It is called with the struct filled in. A setting that
	// cannot be read has its default then, so that all problems are reported together; problems that Validate reports for such
	// a setting are left out. See [Set.Locate] for the form of its error.
	Validate func() error
}

// Load works out every setting from its sources and stores the results in the struct. Call it after the flag set given to
// AddFlags was parsed. It may be called again, and then starts from the defaults again.
//
// The error joins one *Problem for each thing that is wrong; the struct is unchanged then.
func (s *Set) Load(opts LoadOptions) error {
	for _, st := range s.settings {
		st.incoming = candidate{value: clone(st.initial), source: SourceDefault}
	}
	var problems []error
	if opts.File != "" {
		problems = append(problems, s.loadFile(opts.File)...)
	}
	problems = append(problems, s.loadEnv(opts.Environ, opts.IgnoreEnv)...)
	for _, st := range s.settings {
		if st.flagged.IsValid() {
			st.incoming = candidate{value: clone(st.flagged), source: SourceFlag, origin: "--" + st.flag}
		}
	}
	before := make([]candidate, len(s.settings))
	for i, st := range s.settings {
		before[i] = candidate{value: clone(st.dst), source: st.source, origin: st.origin, secretFile: st.secretFile}
		st.become(st.incoming)
	}
	if opts.Validate != nil {
		problems = append(problems, s.Locate(about(opts.Validate(), problems)))
	}
	if err := errors.Join(problems...); err != nil {
		for i, st := range s.settings {
			st.become(before[i])
		}
		return err
	}
	return nil
}

// about drops the problems of settings that others already report.
func about(err error, others []error) error {
	told := map[string]bool{}
	for _, other := range others {
		if p := (*Problem)(nil); errors.As(other, &p) && p.Path != "" {
			told[p.Path] = true
		}
	}
	var left []error
	_ = eachProblem(err, func(p Problem) Problem {
		if !told[p.Path] {
			left = append(left, &p)
		}
		return p
	})
	return errors.Join(left...)
}

// Reread returns a function that reads the secret at path ("rating.kafka.password") again, for a program whose secret is refused:
// it may have been replaced in its file. It returns nil if the secret was not read from a file.
func (s *Set) Reread(path string) func() (string, error) {
	for _, st := range s.settings {
		if st.path == path && st.secretFile != "" {
			file := st.secretFile
			return func() (string, error) { return ReadSecret(file) }
		}
	}
	return nil
}

// Locate adds to each Problem in err where its setting was set, so that a check of meaning ("must not be larger than …")
// points to the same file and line as a check of form. Defaults have no place and get none. Nil stays nil.
func (s *Set) Locate(err error) error {
	return eachProblem(err, func(p Problem) Problem {
		for _, st := range s.settings {
			if st.path == p.Path && p.Origin == "" {
				p.Origin = st.origin
			}
		}
		return p
	})
}
