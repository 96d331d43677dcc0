package plot_test

import (
	"encoding/xml"
	"io"
	"math"
	"strconv"
	"strings"
	"testing"

	"pgregory.net/rapid"

	"movieexample.com/gateway/internal/pages/plot"
)

func run(from int, means ...float64) (years []plot.Year) {
	for i, m := range means {
		if m != 0 {
			years = append(years, plot.Year{Year: from + i, Votes: 10 * (i + 1), Mean: m})
		}
	}
	return years
}

// read checks that a chart is well-formed XML whose coordinates lie inside it, and
// returns its text by element.
func read(t interface {
	Helper()
	Fatalf(string, ...any)
}, svg string,
) (text map[string][]string) {
	t.Helper()
	text = map[string][]string{}
	dec := xml.NewDecoder(strings.NewReader(svg))
	var at []string
	for {
		token, err := dec.Token()
		if err == io.EOF {
			return text
		}
		if err != nil {
			t.Fatalf("not well formed: %v\n%s", err, svg)
		}
		switch token := token.(type) {
		case xml.StartElement:
			at = append(at, token.Name.Local)
			for _, a := range token.Attr {
				switch a.Name.Local {
				case "id", "style", "href":
					t.Fatalf("attribute %s\n%s", a.Name.Local, svg)
				case "x", "y":
					if v, err := strconv.ParseFloat(a.Value, 64); err != nil || v < 0 || v > 400 {
						t.Fatalf("%s=%q\n%s", a.Name.Local, a.Value, svg)
					}
				case "d":
					for number := range strings.FieldsFuncSeq(a.Value, func(r rune) bool { return strings.ContainsRune("MLHVhv ", r) }) {
						if v, err := strconv.ParseFloat(number, 64); err != nil || v < -60 || v > 400 || math.IsNaN(v) {
							t.Fatalf("path %q\n%s", a.Value, svg)
						}
					}
				}
			}
		case xml.EndElement:
			at = at[:len(at)-1]
		case xml.CharData:
			text[at[len(at)-1]] = append(text[at[len(at)-1]], string(token))
		}
	}
}

func TestHistory(t *testing.T) {
	forty := run(1986, make([]float64, 40)...)
	for i := range 40 {
		forty = append(forty, plot.Year{Year: 1986 + i, Votes: 1 + i%7*100, Mean: 6 + float64(i%5)/2})
	}
	for _, c := range []struct {
		name        string
		years       []plot.Year
		title, desc string
		labels      []string // among the texts
		dashes      bool
	}{
		{
			"one year", run(2004, 8.25), "Mean rating per year, 2004", "A mean of 8.2 in 2004, of 10 votes, and no vote in any other year.",
			[]string{"2004", "8", "9"},
			false,
		},
		{
			"three years", run(2004, 8, 7.5, 9), "Mean rating per year, 2004 to 2006",
			"From 8.0 in 2004 to 9.0 in 2006; highest 9.0 in 2006, lowest 7.5 in 2005; 60 votes. The table below has the numbers.",
			[]string{"2004", "2005", "2006", "7", "10"},
			false,
		},
		{"a gap", run(2000, 8, 0, 0, 7), "Mean rating per year, 2000 to 2003", "From 8.0 in 2000 to 7.0 in 2003", []string{"2001"}, true},
		{"a year without votes is a gap", append(run(2000, 8, 0, 7), plot.Year{Year: 2001, Mean: 3}), "2000 to 2002", "lowest 7.0", nil, true},
		{"any order", []plot.Year{{2003, 5, 4}, {2001, 5, 6}, {2002, 5, 5}}, "2001 to 2003", "From 6.0 in 2001 to 4.0 in 2003", nil, false},
		{"forty years", forty, "1986 to 2025", "highest 8.0", []string{"1990", "2000", "2020"}, false},
		{"all of the scale", run(2000, 1, 10), "2000 to 2001", "From 1.0 in 2000 to 10.0", []string{"1", "4", "7", "10"}, false},
	} {
		t.Run(c.name, func(t *testing.T) {
			svg := string(plot.History(c.years))
			text := read(t, svg)
			if got := strings.Join(text["title"], ""); !strings.Contains(got, c.title) {
				t.Errorf("title %q, want %q", got, c.title)
			}
			if got := strings.Join(text["desc"], ""); !strings.Contains(got, c.desc) {
				t.Errorf("description %q, want %q", got, c.desc)
			}
			for _, want := range c.labels {
				found := false
				for _, got := range text["text"] {
					found = found || got == want
				}
				if !found {
					t.Errorf("labels %q, want %q among them", text["text"], want)
				}
			}
			if got := strings.Contains(svg, "stroke-dasharray"); got != c.dashes {
				t.Errorf("dashes %v, want %v\n%s", got, c.dashes, svg)
			}
			if len(svg) > 6000 {
				t.Errorf("%d bytes", len(svg))
			}
		})
	}
	if got := plot.History(nil); got != "" {
		t.Errorf("without a vote: %q", got)
	}
	if got := plot.History([]plot.Year{{2000, 0, 0}, {2001, 3, math.NaN()}}); got != "" {
		t.Errorf("without a mean: %q", got)
	}
}

func TestHistoryOfAnything(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		years := rapid.SliceOfN(rapid.Custom(func(t *rapid.T) plot.Year {
			return plot.Year{rapid.IntRange(1800, 2200).Draw(t, "year"), rapid.IntRange(-1, 1e9).Draw(t, "votes"), rapid.Float64Range(-1, 12).Draw(t, "mean")}
		}), 0, 60).Draw(t, "years")
		read(t, string(plot.History(years)))
	})
}
