package page_test

import (
	"crypto/sha256"
	"encoding/base64"
	"encoding/binary"
	"errors"
	"math"
	"reflect"
	"strings"
	"testing"
	"time"

	"pgregory.net/rapid"

	"movieexample.com/internal/fault"
	"movieexample.com/internal/page"
)

// key is a sort key as a store has one.
type key struct {
	Title string `json:"t,omitempty"`
	Votes int64  `json:"v,omitempty"`
	ID    string `json:"i"`
}

const query = "movies genre=Drama order=title"

var sample = key{Title: `Amélie "2001"`, Votes: 317, ID: "tt0211915"}

func TestRoundTrip(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		query := rapid.String().Draw(t, "query")
		want := key{
			Title: rapid.String().Draw(t, "title"),
			Votes: rapid.Int64().Draw(t, "votes"),
			ID:    rapid.String().Draw(t, "id"),
		}
		token := page.Encode(query, want)
		if strings.Trim(token, "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_") != "" {
			t.Fatalf("token %q needs escaping in a URL", token)
		}
		var got key
		if err := page.Decode(token, query, &got); err != nil {
			t.Fatal(err)
		}
		if got != want {
			t.Fatalf("decoded %+v, want %+v", got, want)
		}
	})
}

// Every single character of a token matters: no change of one is accepted.
func TestEveryAlterationIsRefused(t *testing.T) {
	token := page.Encode(query, sample)
	for i := range token {
		for _, c := range []byte("A_z0") {
			if token[i] == c {
				continue
			}
			altered := token[:i] + string(c) + token[i+1:]
			var got key
			if err := page.Decode(altered, query, &got); err == nil {
				t.Fatalf("character %d changed to %q: accepted as %+v", i, c, got)
			}
		}
		var got key
		if err := page.Decode(token[:i], query, &got); err == nil {
			t.Fatalf("cut off after %d characters: accepted as %+v", i, got)
		}
	}
}

func TestMessages(t *testing.T) {
	good := page.Encode(query, sample)
	raw, err := base64.RawURLEncoding.DecodeString(good)
	if err != nil {
		t.Fatal(err)
	}
	reencode := func(change func(raw []byte) []byte) string {
		return base64.RawURLEncoding.EncodeToString(change(append([]byte(nil), raw...)))
	}
	type other struct {
		Released int `json:"released"`
	}
	for name, tc := range map[string]struct{ token, want string }{
		"not base64":   {"page 2, please", "is no token of this service"},
		"line break":   {good[:8] + "\n" + good[8:], "is no token of this service"},
		"endless":      {strings.Repeat("A", 9000), "it has 9000 characters"},
		"cut off":      {good[:len(good)/4*4-4], "was altered or cut off"},
		"only a head":  {good[:8], "was cut off"},
		"altered key":  {reencode(func(b []byte) []byte { b[len(b)-3]++; return b }), "was altered"},
		"altered head": {reencode(func(b []byte) []byte { b[3]++; return b }), "was altered"},
		"another version": {reencode(func(b []byte) []byte {
			b[0] = 9
			sum := sha256.New()
			sum.Write(b[:9])
			sum.Write(b[13:])
			copy(b[9:13], sum.Sum(nil))
			return b
		}), "another version of this service (format 9, this one reads 2)"},
		"altered version": {reencode(func(b []byte) []byte { b[0] = 9; return b }), "is no token of this service"},
		"text":            {"AAAA", "is no token of this service"},
		"longer text":     {strings.Repeat("AAAA", 10), "is no token of this service"},
		"number":          {"20", "is no token of this service"},
		"another query":   {page.Encode("movies genre=Comedy order=title", sample), "belongs to another query: filter and order must stay the same"},
		"another key":     {page.Encode(query, other{1994}), "another version of this service (its key differs)"},
	} {
		t.Run(name, func(t *testing.T) {
			var got key
			err := page.Decode(tc.token, query, &got)
			var f *fault.Error
			if !errors.As(err, &f) || f.Kind != fault.KindInvalid {
				t.Fatalf("got %v, want an invalid-argument error", err)
			}
			if len(f.Fields) != 1 || f.Fields[0].Name != "page_token" {
				t.Fatalf("fields %+v, want page_token alone", f.Fields)
			}
			reason := f.Fields[0].Reason
			if !strings.Contains(reason, tc.want) || !strings.Contains(reason, "leave page_token out") {
				t.Fatalf("reason %q, want %q and what to do", reason, tc.want)
			}
			if strings.Contains(reason, "next_page_token") && !strings.Contains(reason, "next_page_token (nextPageToken in JSON)") {
				t.Errorf("reason %q names the field for readers of protos only", reason)
			}
			if sent := fault.ToProblem(fault.Status(err)); sent.Errors[0].Reason != reason {
				t.Errorf("reason %q is too long to be sent whole: %q", reason, sent.Errors[0].Reason)
			}
		})
	}
}

// Tokens that were made once, by this version and the one before, at a known time.
func TestFixedTokens(t *testing.T) {
	made := time.Date(2026, 11, 23, 8, 59, 59, 0, time.UTC)
	const (
		fixed = "AsrvjCkG8VtlqaNRPAAHnCh7InQiOiJBbcOpbGllIFwiMjAwMVwiIiwidiI6MzE3LCJpIjoidHQwMjExOTE1In0"
		first = "AcrvjCkG8VtlgCx0cXsidCI6IkFtw6lsaWUgXCIyMDAxXCIiLCJ2IjozMTcsImkiOiJ0dDAyMTE5MTUifQ" // of version 1, which had no time in it
	)
	if got := page.EncodeAt(made, query, sample); got != fixed {
		t.Fatalf("the format changed: it needs another version\ngot  %s\nwant %s", got, fixed)
	}
	hour := made.Truncate(time.Hour)
	for name, tc := range map[string]struct {
		token, query string
		now          time.Time
		want         string // "" for good
	}{
		"new":                  {fixed, query, made, ""},
		"after 72 hours":       {fixed, query, made.Add(72 * time.Hour), ""},
		"last second":          {fixed, query, hour.Add(73*time.Hour - time.Second), ""},
		"old":                  {fixed, query, hour.Add(73 * time.Hour), "has expired: it was made on 2026-11-23 at 08:00 UTC, and tokens are good for 72 hours (AIP-158)"},
		"very old":             {fixed, query, made.AddDate(20, 0, 0), "has expired: it was made on 2026-11-23 at 08:00 UTC"},
		"a clock behind":       {fixed, query, made.Add(-5 * time.Hour), ""},
		"a clock far behind":   {fixed, query, made.AddDate(-20, 0, 0), ""},
		"old, of another list": {fixed, "another", made.AddDate(1, 0, 0), "belongs to another query"},
		"version 1":            {first, query, made, "was made by another version of this service (format 1, this one reads 2)"},
	} {
		t.Run(name, func(t *testing.T) {
			var got key
			err := page.DecodeAt(tc.now, tc.token, tc.query, &got)
			switch {
			case tc.want == "" && (err != nil || got != sample):
				t.Errorf("got %+v, %v", got, err)
			case tc.want != "" && (err == nil || !strings.Contains(err.Error(), tc.want) || !strings.Contains(err.Error(), "leave page_token out")):
				t.Errorf("got %v, want %q and what to do", err, tc.want)
			}
		})
	}
}

// The checksum covers the hour: a token cannot be made younger by accident.
func TestHourIsChecked(t *testing.T) {
	raw, err := base64.RawURLEncoding.DecodeString(page.Encode(query, sample))
	if err != nil {
		t.Fatal(err)
	}
	raw[13+3]++
	var got key
	if err := page.Decode(base64.RawURLEncoding.EncodeToString(raw), query, &got); err == nil || !strings.Contains(err.Error(), "was altered") {
		t.Errorf("another hour: %v, want it altered", err)
	}
}

func TestKeyThatJSONCannotHoldPanics(t *testing.T) {
	defer func() {
		if recover() == nil {
			t.Fatal("no panic")
		}
	}()
	page.Encode(query, math.NaN())
}

func TestSize(t *testing.T) {
	for _, tc := range []struct {
		requested int32
		want      int
	}{{0, 50}, {1, 1}, {200, 200}, {201, 200}, {math.MaxInt32, 200}} {
		if got, err := page.Size(tc.requested, 50, 200); err != nil || got != tc.want {
			t.Errorf("Size(%d) = %d, %v; want %d", tc.requested, got, err, tc.want)
		}
	}
	_, err := page.Size(-1, 50, 200)
	var f *fault.Error
	if !errors.As(err, &f) || f.Kind != fault.KindInvalid || len(f.Fields) != 1 || f.Fields[0].Name != "page_size" {
		t.Fatalf("Size(-1): %v, want invalid page_size", err)
	}
	if !strings.Contains(err.Error(), "got -1") {
		t.Fatalf("message %q does not repeat the value", err)
	}
}

// FuzzDecode: no text makes Decode panic, and what it accepts is what Encode makes.
func FuzzDecode(f *testing.F) {
	f.Add(page.Encode(query, sample), query)
	f.Add(page.Encode("", key{}), "")
	f.Add("", query)
	f.Add("AQ", query)
	f.Add("not a token", query)
	f.Fuzz(func(t *testing.T, token, query string) {
		var got key
		if err := page.Decode(token, query, &got); err != nil {
			var invalid *fault.Error
			if !errors.As(err, &invalid) || invalid.Kind != fault.KindInvalid {
				t.Fatalf("error %v is not an invalid argument", err)
			}
			return
		}
		if again := remade(t, token, query, got); again != token {
			t.Fatalf("accepted %q, which Encode writes as %q", token, again)
		}
		var twice key
		if err := page.Decode(token, query, &twice); err != nil || !reflect.DeepEqual(got, twice) {
			t.Fatalf("decoded again: %+v, %v; first %+v", twice, err, got)
		}
	})
}

// remade encodes the key as it was at the token's hour.
func remade(t *testing.T, token, query string, k key) string {
	t.Helper()
	raw, err := base64.RawURLEncoding.DecodeString(token)
	if err != nil {
		t.Fatal(err)
	}
	return page.EncodeAt(time.Unix(int64(binary.BigEndian.Uint32(raw[13:]))*3600, 0), query, k)
}
