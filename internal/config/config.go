package config

import (
	"errors"
	"fmt"
	"reflect"
	"regexp"
	"strings"
)

// EnvPrefix starts the name of every environment variable that belongs to the system.
const EnvPrefix = "MOVIEEXAMPLE_"

// Mask is printed in place of a secret that is set.
const Mask = "********"

// Source is the kind of place that a value came from.
type Source string

// The sources, weakest first.
const (
	SourceDefault     Source = "default"
	SourceFile        Source = "file"
	SourceEnvironment Source = "environment"
	SourceFlag        Source = "flag"
)

// Setting describes one setting and its value after the last successful Load (before it: the default).
type Setting struct {
	Path        string // chain of YAML keys: "rating.chart_min_votes"
	Flag        string // without dashes: "rating-chart-min-votes"
	Env         string // "MOVIEEXAMPLE_RATING_CHART_MIN_VOTES"
	Usage       string // one line
	Placeholder string // what stands for the value in help texts: "int", "host:port"
	Value       string // in the grammar of flags and variables; Mask for a secret that is set
	Source      Source
	Origin      string // the exact place: "config.yaml:12", "MOVIEEXAMPLE_…", "--flag"; empty for a default
	Secret      bool
}

// Set is the settings of one struct. It is not safe for concurrent use.
type Set struct {
	root     *group
	settings []*setting // in the order of the struct's fields
}

// group is a nested struct: a section of the file.
type group struct {
	path    string // empty for the root
	members []member
}

// member is one key of a group: a setting or another group, never both.
type member struct {
	key     string
	setting *setting
	group   *group
}

type setting struct {
	path, flag, env    string
	usage, placeholder string
	secret             bool
	kind               *kind

	dst     reflect.Value // the field in the caller's struct
	initial reflect.Value // copy of the field as it was handed over
	flagged reflect.Value // value given by flag; invalid until one was
	source  Source
	origin  string
	// secretFile is the file that the secret was read from; empty if it came from elsewhere.
	secretFile string
	incoming   candidate // what the current Load has found so far
}

// candidate is a value on its way into a setting.
type candidate struct {
	value      reflect.Value
	source     Source
	origin     string
	secretFile string // the file that a secret was read from
}

// keyPattern keeps keys translatable: one underscore between words, so that path, flag and variable correspond.
var keyPattern = regexp.MustCompile(`^[a-z][a-z0-9]*(_[a-z0-9]+)*$`)

// New reads the settings of dst, a pointer to a struct as the package comment describes. The values in it are the
// defaults. It fails only for a struct that was declared wrongly, and then names every mistake: an exported field without yaml key
// or usage, a type it cannot read, a secret that is not a string, two settings with the same flag or variable name.
func New(dst any) (*Set, error) {
	v := reflect.ValueOf(dst)
	if v.Kind() != reflect.Pointer || v.IsNil() || v.Elem().Kind() != reflect.Struct {
		return nil, fmt.Errorf("settings must be a pointer to a struct, not %T", dst)
	}
	s := &Set{}
	root, errs := s.walk("", v.Elem())
	s.root = root
	errs = append(errs, s.clashes()...)
	if len(errs) > 0 {
		return nil, fmt.Errorf("declare settings in %T: %w", dst, errors.Join(errs...))
	}
	return s, nil
}

// walk collects the settings below one struct value.
func (s *Set) walk(path string, v reflect.Value) (*group, []error) {
	g := &group{path: path}
	var errs []error
	seen := map[string]bool{}
	for i := range v.NumField() {
		field := v.Type().Field(i)
		key := field.Tag.Get("yaml")
		if key == "-" || (!field.IsExported() && key == "") {
			continue
		}
		where := strings.TrimPrefix(path+"."+field.Name, ".")
		switch {
		case !field.IsExported():
			errs = append(errs, fmt.Errorf("field %s has a yaml key but is not exported", where))
			continue
		case !keyPattern.MatchString(key):
			errs = append(errs, fmt.Errorf("field %s needs a yaml tag with a lower_snake_case key and no options, not %q", where, key))
			continue
		case seen[key]:
			errs = append(errs, fmt.Errorf("field %s repeats the yaml key %q", where, key))
			continue
		}
		seen[key] = true

		member := member{key: key}
		full := strings.TrimPrefix(path+"."+key, ".")
		if k := kindOf(field.Type); k != nil {
			st, err := newSetting(full, field, v.Field(i), k)
			if err != nil {
				errs = append(errs, err)
				continue
			}
			member.setting = st
			s.settings = append(s.settings, st)
		} else if field.Type.Kind() == reflect.Struct {
			sub, subErrs := s.walk(full, v.Field(i))
			errs = append(errs, subErrs...)
			member.group = sub
		} else {
			errs = append(errs, fmt.Errorf("field %s has type %s, which is no kind of setting", where, field.Type))
			continue
		}
		g.members = append(g.members, member)
	}
	return g, errs
}

func newSetting(path string, field reflect.StructField, v reflect.Value, k *kind) (*setting, error) {
	words := strings.NewReplacer(".", "_").Replace(path)
	st := &setting{
		path:        path,
		flag:        strings.ReplaceAll(words, "_", "-"),
		env:         EnvPrefix + strings.ToUpper(words),
		usage:       field.Tag.Get("usage"),
		placeholder: k.name,
		kind:        k,
		dst:         v,
		initial:     clone(v),
		source:      SourceDefault,
	}
	if name := field.Tag.Get("flag"); name != "" {
		st.flag = name
	}
	if p := field.Tag.Get("placeholder"); p != "" {
		st.placeholder = p
	}
	if st.usage == "" {
		return nil, fmt.Errorf("setting %s needs a usage tag", path)
	}
	switch secret := field.Tag.Get("secret"); secret {
	case "", "false":
	case "true":
		if field.Type.Kind() != reflect.String {
			return nil, fmt.Errorf("setting %s is secret, so it must be a string, not %s", path, field.Type)
		}
		st.secret = true
	default:
		return nil, fmt.Errorf("setting %s has the tag secret:%q; allowed is true or false", path, secret)
	}
	return st, nil
}

// clashes finds different settings that share a name: a_b.c and a.b_c share MOVIEEXAMPLE_A_B_C.
func (s *Set) clashes() []error {
	var errs []error
	owner := map[string]string{}
	claim := func(name, path string) {
		if other, taken := owner[name]; taken {
			errs = append(errs, fmt.Errorf("settings %s and %s share the name %s", other, path, name))
			return
		}
		owner[name] = path
	}
	for _, st := range s.settings {
		claim("--"+st.flag, st.path)
		claim(st.env, st.path)
		if st.secret {
			claim(st.envFile(), st.path)
		}
	}
	return errs
}

// become gives a setting its value.
func (st *setting) become(c candidate) {
	st.dst.Set(c.value)
	st.source, st.origin, st.secretFile = c.source, c.origin, c.secretFile
}

// Settings lists every setting in the order of the struct's fields.
func (s *Set) Settings() []Setting {
	list := make([]Setting, len(s.settings))
	for i, st := range s.settings {
		list[i] = Setting{
			Path: st.path, Flag: st.flag, Env: st.env, Usage: st.usage, Placeholder: st.placeholder,
			Value: st.shown(), Source: st.source, Origin: st.origin, Secret: st.secret,
		}
	}
	return list
}

// shown is the value as text, masked when it is secret. An unset secret is shown as unset: that is worth knowing.
func (st *setting) shown() string {
	text := st.kind.format(st.dst)
	if st.secret && text != "" {
		return Mask
	}
	return text
}

// envFile is the variable that names a file with the secret in it.
func (st *setting) envFile() string { return st.env + "_FILE" }

// take parses text from one source into the setting's candidate.
func (st *setting) take(text string, source Source, origin string) error {
	v := reflect.New(st.dst.Type()).Elem()
	if err := st.parse(text, v); err != nil {
		return &Problem{Path: st.path, Origin: origin, Reason: st.given(text) + err.Error()}
	}
	st.incoming = candidate{value: v, source: source, origin: origin}
	return nil
}

// parse reads text in the grammar that all sources share.
func (st *setting) parse(text string, v reflect.Value) error {
	if st.secret && text == Mask {
		return fmt.Errorf("it is the mask that stands for a secret in printed settings, not a secret: give the secret itself, or leave it out here and set %s", st.envFile())
	}
	if st.secret && strings.TrimSpace(text) == "" {
		return errors.New("must not be empty: give the secret, or leave it out where there is none")
	}
	return st.kind.parse(text, v)
}

// given begins a message with the refused value, unless it is a secret.
func (st *setting) given(text string) string {
	if st.secret {
		return ""
	}
	return fmt.Sprintf("%q given, ", text)
}

// clone copies a value, so that a later change to a list does not change an earlier value.
func clone(v reflect.Value) reflect.Value {
	c := reflect.New(v.Type()).Elem()
	c.Set(v)
	if v.Kind() == reflect.Slice && !v.IsNil() {
		c.Set(reflect.AppendSlice(reflect.MakeSlice(v.Type(), 0, v.Len()), v))
	}
	return c
}
