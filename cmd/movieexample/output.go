package main

import (
	"bufio"
	"encoding/json"
	"fmt"
	"io"
	"slices"
	"strconv"
	"strings"
	"unicode"
	"unicode/utf8"

	"github.com/spf13/cobra"
)

// choice is a flag that takes one of a few values, in either case.
type choice struct {
	value       *string
	placeholder string
	values      []string
}

// addChoice adds a choice, which shells complete.
func addChoice(cmd *cobra.Command, value *string, name, shorthand, placeholder, usage string, values ...string) {
	cmd.Flags().VarP(&choice{value, placeholder, values}, name, shorthand, usage)
	if err := cmd.RegisterFlagCompletionFunc(name, cobra.FixedCompletions(values, cobra.ShellCompDirectiveNoFileComp)); err != nil {
		panic(err) // the flag was added above
	}
}

// String, Set and Type implement pflag.Value.
func (c *choice) String() string { return *c.value }

func (c *choice) Set(s string) error {
	i := slices.IndexFunc(c.values, func(v string) bool { return strings.EqualFold(v, s) })
	if i < 0 {
		return fmt.Errorf("must be %s, got %q", strings.Join(c.values, " or "), s)
	}
	*c.value = c.values[i]
	return nil
}

func (c *choice) Type() string { return c.placeholder }

// The values of --output.
const (
	outputText = "text"
	outputJSON = "json"
)

// newOutputFlag adds --output.
func newOutputFlag(cmd *cobra.Command) *string {
	o := outputText
	addChoice(cmd, &o, "output", "o", "FORMAT", "how to print the result: text or json", outputText, outputJSON)
	return &o
}

// printJSON prints a result on one or more lines.
func printJSON(w io.Writer, v any) error {
	e := json.NewEncoder(w)
	e.SetIndent("", "  ")
	e.SetEscapeHTML(false)
	return e.Encode(v)
}

// summary writes the rows of a result as text.
type summary struct{ *bufio.Writer }

func (s summary) row(name, format string, args ...any) {
	fmt.Fprintf(s, "%-9s %s\n", name, fmt.Sprintf(format, args...))
}

// grouped writes a number with commas between groups of three digits.
func grouped(n int64) string {
	s := strconv.FormatInt(n, 10)
	start := len(s) % 3
	if n < 0 {
		start = (len(s)-1)%3 + 1
	}
	var b strings.Builder
	b.WriteString(s[:start])
	for i := start; i < len(s); i += 3 {
		if b.Len() > 0 && s[:i] != "-" {
			b.WriteByte(',')
		}
		b.WriteString(s[i : i+3])
	}
	return b.String()
}

// counted is a number with its noun.
func counted(n int64, one, many string) string {
	if n == 1 {
		return "1 " + one
	}
	return grouped(n) + " " + many
}

// printable shows at most limit bytes of foreign input. It escapes what could control a terminal.
func printable(b []byte, limit int) string {
	if len(b) == 0 {
		return "(empty)"
	}
	more := ""
	if len(b) > limit {
		more = fmt.Sprintf("… (%s bytes)", grouped(int64(len(b))))
		cut := limit
		for cut > limit-utf8.UTFMax && cut > 0 && !utf8.RuneStart(b[cut]) {
			cut-- // not in the middle of a character
		}
		b = b[:cut]
	}
	s := string(b)
	if !utf8.ValidString(s) || strings.ContainsFunc(s, func(r rune) bool { return !unicode.IsPrint(r) }) {
		s = strconv.Quote(s)
	}
	return s + more
}
