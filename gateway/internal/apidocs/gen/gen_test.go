package main

import (
	"slices"
	"testing"
)

func TestSplitComment(t *testing.T) {
	c := &completion{fields: map[string]bool{"nextPageToken": true, "ratingSummary": true, "asOfTime": true}}
	text, failures := c.splitComment("GetMovie", "GetMovie returns one movie, as of rating_summary.as_of_time,\nwith next_page_token for page_token.\n\n"+
		"NOT_FOUND: no movie\nhas this id.\nABORTED: it was changed.\nNO_SUCH_CODE: never.")
	if want := "Returns one movie, as of `ratingSummary.asOfTime`, with `nextPageToken` for `page_token`."; text != want {
		t.Errorf("got  %s\nwant %s", text, want)
	}
	want := []failure{{"404", "No movie has this id."}, {"409", "It was changed."}, {"", "Never."}}
	if !slices.Equal(failures, want) {
		t.Errorf("got %v, want %v", failures, want)
	}
}

func TestSampleValues(t *testing.T) {
	const path = "/v1/records/{record_type}/{record_id}/ratings"
	got, err := sampleValues(path, "/v1/records/movie/tt1/ratings?page_size=2&q=a+b")
	if err != nil || len(got) != 4 || got["record_type"] != "movie" || got["record_id"] != "tt1" || got["page_size"] != "2" || got["q"] != "a b" {
		t.Errorf("got %v, %v", got, err)
	}
	for _, wrong := range []string{"/v1/records/movie/tt1", "/v1/records/movie/tt1/summary"} {
		if _, err := sampleValues(path, wrong); err == nil {
			t.Errorf("%s passes for %s", wrong, path)
		}
	}
}

// TestUnused: an entry of supplement.yaml for something that no longer exists is an error.
func TestUnused(t *testing.T) {
	c := &completion{supplement: obj("document", obj(), "always", obj("Movie.gone", true)), used: map[string]bool{}}
	if err := c.unused(); err == nil {
		t.Error("a property that no type has is taken in silence")
	}
	c.take("always", "Movie.gone")
	if err := c.unused(); err != nil {
		t.Error(err)
	}
}

func TestObjectKeepsOrder(t *testing.T) {
	const text = `{"z":1,"a":{"y":[{"b":2.50,"a":null}],"x":"<&>"}}`
	v, err := parse([]byte(text))
	if err != nil {
		t.Fatal(err)
	}
	const want = `{
  "z": 1,
  "a": {
    "y": [
      {
        "b": 2.50,
        "a": null
      }
    ],
    "x": "<&>"
  }
}
`
	got, err := indented(v)
	if err != nil || string(got) != want {
		t.Errorf("got %s (%v), want %s", got, err, want)
	}
	for _, wrong := range []string{`{} {}`, `[]`, `{"a":1,"a":2}`} {
		if _, err := parse([]byte(wrong)); err == nil {
			t.Errorf("%s passes for an object", wrong)
		}
	}
}
