package config

import (
	"bytes"
	"fmt"
	"io"
	"reflect"
	"regexp"
	"strconv"
	"strings"

	"go.yaml.in/yaml/v3"
)

// YAML writes the effective configuration as a file that Load would read, in the order of the struct's fields. A comment
// on each line names the source of the value. Secrets are not printed: one that is not set, or comes from the environment or a
// flag, is a comment, so that the file can be used with the same environment. One that was set in a file is printed as the mask,
// which Load refuses: a copy of that file without the secret would be another configuration. Errors are those of w.
func (s *Set) YAML(w io.Writer) error {
	var out bytes.Buffer
	writeGroup(&out, s.root, "")
	_, err := w.Write(out.Bytes())
	return err
}

func writeGroup(out *bytes.Buffer, g *group, indent string) {
	for _, m := range g.members {
		if m.group != nil {
			if len(m.group.members) > 0 {
				fmt.Fprintf(out, "%s%s:\n", indent, m.key)
				writeGroup(out, m.group, indent+"  ")
			}
			continue
		}
		line := indent + m.key + ": " + m.setting.yamlValue()
		if st := m.setting; st.secret && (st.source != SourceFile || st.shown() == "") {
			line = indent + "# " + m.key + ": " + st.yamlValue()
		}
		fmt.Fprintf(out, "%-40s # %s\n", line, m.setting.provenance())
	}
}

func (st *setting) provenance() string {
	if st.source == SourceDefault {
		return string(SourceDefault)
	}
	// A file name may hold a line break, and a comment may not.
	return string(st.source) + " " + printable(st.origin)
}

func (st *setting) yamlValue() string {
	switch {
	case st.kind.list:
	case st.dst.Kind() == reflect.String || st.kind.text:
		return scalar(st.shown())
	default:
		return st.shown() // numbers, truth values and durations are plain YAML as they are
	}
	list := elements(st.dst)
	for i := range list {
		list[i] = scalar(list[i])
	}
	return "[" + strings.Join(list, ", ") + "]"
}

// plain is what needs no quotes in any YAML context, a flow list included.
var plain = regexp.MustCompile(`^[A-Za-z0-9_./:@+-]+$`)

// scalar writes a text as one YAML value on one line. The library decides whether it needs quotes: it knows that "no" is a boolean
// to older readers, "a:" a mapping and "~" null. It decides twice, because flow lists have different rules.
func scalar(text string) string {
	if plain.MatchString(text) {
		block, err := yaml.Marshal(text)
		if err == nil && string(block) == text+"\n" {
			var flow []yaml.Node
			if err := yaml.Unmarshal([]byte("["+text+"]"), &flow); err == nil && len(flow) == 1 && isText(&flow[0]) && flow[0].Value == text {
				return text
			}
		}
	}
	// For valid UTF-8 every escape that Go uses means the same in a double-quoted YAML scalar.
	return strconv.Quote(text)
}
