// Package syntaxtest has the corpus of texts with verdicts that every door is tested with.
package syntaxtest

import (
	_ "embed"
	"encoding/json"
	"fmt"
	"strconv"
	"strings"
	"testing"
)

//go:embed corpus.json
var corpus []byte

// Corpus is what a door takes, and what it refuses.
type Corpus struct {
	// Texts are whole texts; see [Text.For].
	Texts []Text `json:"texts"`
	// Strings, Integers and Times are single values: literals of JSON, of JSON, and texts. Integers that are good are 1 to 10, and those that are
	// not are refused by a door that takes more.
	Strings  []Case[string] `json:"strings"`
	Integers []Case[int64]  `json:"integers"`
	Times    []Case[string] `json:"times"`
}

// Text is a whole text.
type Text struct {
	Name string `json:"name"`
	Text string `json:"text"`
	OK   bool   `json:"ok"`
}

// Case is a single value.
type Case[T any] struct {
	Text string `json:"text"`
	OK   bool   `json:"ok"`
	// Value is the value of a valid text; a time is in UTC, to the microsecond.
	Value T `json:"value"`
	// Syntax reports that the text is not JSON, or not Unicode. A validator behind a parser cannot tell.
	Syntax bool `json:"syntax"`
}

// Load reads the corpus.
func Load(t testing.TB) Corpus {
	t.Helper()
	var c Corpus
	if err := json.Unmarshal(corpus, &c); err != nil {
		t.Fatal(err)
	}
	if len(c.Texts) < 30 || len(c.Strings) < 20 || len(c.Integers) < 30 || len(c.Times) < 50 {
		t.Fatalf("the corpus has %d texts, %d strings, %d integers and %d times: it was read wrongly", len(c.Texts), len(c.Strings), len(c.Integers), len(c.Times))
	}
	return c
}

// For returns the text for a door: members are those that it requires, name is that of an optional member of type string.
func (c Text) For(members, name string) string {
	text := strings.NewReplacer("MEMBERS", members, "NAME", name,
		"ESCAPED", fmt.Sprintf(`\u%04x`, name[0])+name[1:], "UPPER", strings.ToUpper(name)).Replace(c.Text)
	var b strings.Builder
	for {
		before, after, more := strings.Cut(text, "BYTE:")
		b.WriteString(before)
		if !more {
			return b.String()
		}
		if n, err := strconv.ParseUint(after[:2], 16, 8); err == nil {
			b.WriteByte(byte(n))
		}
		text = after[2:]
	}
}
