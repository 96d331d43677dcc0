package events_test

import (
	"fmt"
	"os"
	"regexp"
	"strings"
	"testing"
	"time"
	"unicode"

	"github.com/santhosh-tekuri/jsonschema/v6"

	"movieexample.com/api/events"
	"movieexample.com/internal/fault"
	"movieexample.com/internal/syntax/syntaxtest"
)

const schemaFile = "rating-event.schema.json"

// judges returns the two readers of the JSON form: the published schema, as a validator of another make sees it, and the decoder.
func judges(t *testing.T) (bySchema, byDecoder func(value string) bool) {
	t.Helper()
	schema, err := jsonschema.NewCompiler().Compile(schemaFile)
	if err != nil {
		t.Fatal(err)
	}
	bySchema = func(value string) bool {
		v, err := jsonschema.UnmarshalJSON(strings.NewReader(value))
		return err == nil && schema.Validate(v) == nil
	}
	return bySchema, func(value string) bool {
		_, err := events.Decode("", []byte(value))
		return err == nil
	}
}

// TestSchemaAndDecoderAgree: one event has one verdict. What no schema can tell is marked in the corpus.
func TestSchemaAndDecoderAgree(t *testing.T) {
	bySchema, byDecoder := judges(t)
	check := func(value string, want bool) {
		t.Helper()
		if s, d := bySchema(value), byDecoder(value); s != want || d != want {
			t.Errorf("%s: the schema takes it %v, the decoder %v; want %v", value, s, d, want)
		}
	}
	corpus := syntaxtest.Load(t)
	with := func(member, value string) string {
		members := map[string]string{"userId": `"u"`, "recordId": `"r"`, "recordType": `"movie"`, "value": "8"}
		members[member] = value
		var list []string
		for name, v := range members {
			list = append(list, fmt.Sprintf("%q:%s", name, v))
		}
		return "{" + strings.Join(list, ",") + "}"
	}
	for _, c := range corpus.Integers {
		if !c.Syntax {
			check(with("value", c.Text), c.OK)
		}
	}
	for _, c := range corpus.Times {
		check(with("ratedAt", fmt.Sprintf("%q", c.Text)), c.OK)
	}
	for _, c := range corpus.Strings {
		if !c.Syntax {
			check(with("providerId", c.Text), c.OK)
		}
	}
	for id, ok := range map[string]bool{
		"u": true, "a b": true, "...": true, "é": true, "v19\u200b": false, "\ufeffa": false, "a\u2800": false, ".": false, "..": false, " a": false,
		"a ": false, "a\u00a0b": false, "": false, strings.Repeat("x", 128): true, strings.Repeat("x", 129): false, "a\tb": false,
	} {
		check(with("userId", fmt.Sprintf("%q", id)), ok)
		check(with("recordId", fmt.Sprintf("%q", id)), ok)
	}
	for _, value := range []string{"null", `""`} {
		for _, member := range []string{"providerId", "eventType", "ratedAt"} {
			check(with(member, value), true)
		}
	}
	check(with("ratedAt", `"1969-12-31T23:59:59Z"`), false)
	check(with("recordType", `"Movie"`), false)
	check(with("value", "null"), false)
	check(`{"userId":"u","recordId":"r","recordType":"movie","eventType":"delete"}`, true)
	check(`{"userId":"u","recordId":"r","recordType":"movie","eventType":"delete","value":99.5}`, true)
	check(`{"userId":"u","recordId":"r","recordType":"movie"}`, false)
}

// TestSchemaKnowsEveryCharacter: of each character the schema's pattern says what the rule of all services says.
func TestSchemaKnowsEveryCharacter(t *testing.T) {
	text, err := os.ReadFile(schemaFile)
	if err != nil {
		t.Fatal(err)
	}
	doc, err := jsonschema.UnmarshalJSON(strings.NewReader(string(text)))
	if err != nil {
		t.Fatal(err)
	}
	id := doc.(map[string]any)["$defs"].(map[string]any)["id"].(map[string]any)
	pattern := regexp.MustCompile(id["pattern"].(string))
	var good []rune // that the rule takes, to be matched many at once: a million matches take long
	match := func() {
		if !pattern.MatchString(string(good)) {
			t.Errorf("the schema's pattern does not take %+q", string(good))
		}
		good = good[:0]
	}
	for r := rune(0); r <= unicode.MaxRune; r++ {
		if r >= 0xd800 && r <= 0xdfff {
			continue // no character
		}
		switch {
		case r == ' ' || r == '.': // it depends on what is around them
		case fault.ID("id", string(r)) == nil:
			good = append(good, r)
		case pattern.MatchString("a" + string(r) + "b"):
			t.Errorf("the schema's pattern takes %U, which the rule of all services refuses", r)
		}
		if len(good) == 500 {
			match()
		}
	}
	match()
}

// TestDecodeCorpus: the decoder's half of the corpus, with the values.
func TestDecodeCorpus(t *testing.T) {
	corpus := syntaxtest.Load(t)
	const members = `"userId":"u","recordId":"r","recordType":"movie","value":8`
	for _, c := range corpus.Texts {
		if _, err := events.Decode("", []byte(c.For(members, "providerId"))); (err == nil) != c.OK {
			t.Errorf("%s: %v, want it taken %v", c.Name, err, c.OK)
		}
	}
	for _, c := range corpus.Strings {
		e, err := events.Decode("", []byte("{"+members+`,"providerId":`+c.Text+"}"))
		if (err == nil) != c.OK || e.ProviderID != c.Value {
			t.Errorf("%s: %q, %v; want %q, taken %v", c.Text, e.ProviderID, err, c.Value, c.OK)
		}
	}
	for _, c := range corpus.Integers {
		e, err := events.Decode("", []byte(`{"userId":"u","recordId":"r","recordType":"movie","value":`+c.Text+"}"))
		if (err == nil) != c.OK || int64(e.Value) != c.Value {
			t.Errorf("%s: %d, %v; want %d, taken %v", c.Text, e.Value, err, c.Value, c.OK)
		}
	}
	for _, c := range corpus.Times {
		e, err := events.Decode("", []byte("{"+members+fmt.Sprintf(`,"ratedAt":%q}`, c.Text)))
		if (err == nil) != c.OK || c.OK && e.RatedAt.Format(time.RFC3339Nano) != c.Value {
			t.Errorf("%s: %v, %v; want %s, taken %v", c.Text, e.RatedAt, err, c.Value, c.OK)
		}
	}
}
