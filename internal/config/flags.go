package config

import (
	"reflect"

	"github.com/spf13/pflag"
)

// AddFlags registers every setting as a flag. A value that cannot be read ends the parsing with an error that names flag, value
// and what is allowed. A list flag may be repeated; the repetitions add up. Like every registration with pflag it panics
// if the set already has a flag of that name.
func (s *Set) AddFlags(fs *pflag.FlagSet) {
	for _, st := range s.settings {
		usage := st.usage
		if st.secret {
			usage += " (other users of the machine can see flags: better set " + st.envFile() + ")"
		}
		flag := fs.VarPF(&flagValue{st}, st.flag, "", usage)
		if st.dst.Kind() == reflect.Bool {
			flag.NoOptDefVal = "true"
		}
	}
}

// flagValue keeps the given value outside of the struct: Load stores it, and only if all settings are valid.
type flagValue struct{ st *setting }

func (f *flagValue) String() string { return f.st.shown() }

func (f *flagValue) Type() string { return f.st.placeholder }

func (f *flagValue) Set(text string) error {
	v := reflect.New(f.st.dst.Type()).Elem()
	if err := f.st.parse(text, v); err != nil {
		return err
	}
	if f.st.kind.list && f.st.flagged.IsValid() {
		v = reflect.AppendSlice(f.st.flagged, v)
	}
	f.st.flagged = v
	return nil
}
