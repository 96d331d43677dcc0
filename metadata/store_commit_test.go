package metadata

import "testing"

// The verdict on a transaction by what is stored after it. It took number 7, wrote two films and removed one.
func TestVerdict(t *testing.T) {
	written := trace{number: 7, ids: []string{"a", "b", "gone"}, etags: map[string]string{"a": "ea", "b": "eb", "gone": ""}}
	for name, c := range map[string]struct {
		last    int64
		present map[string]version
		want    outcome
	}{
		"its number was never given out":            {6, map[string]version{"a": {5, "old"}}, absent},
		"all is there":                              {7, map[string]version{"a": {7, "ea"}, "b": {7, "eb"}, "gone": {7, ""}}, stored},
		"another has its number, and other films":   {7, map[string]version{"x": {7, "ex"}}, absent},
		"another has its number, and one film more": {7, map[string]version{"a": {7, "other"}, "b": {3, "old"}}, absent},
		"another has its number, the same films":    {7, map[string]version{"a": {7, "1"}, "b": {7, "2"}, "gone": {7, ""}}, absent},
		"one was changed again since":               {9, map[string]version{"a": {9, "new"}, "b": {7, "eb"}, "gone": {7, ""}}, stored},
		"one was changed again, one was never":      {9, map[string]version{"a": {9, "new"}, "b": {3, "old"}, "gone": {8, ""}}, absent},
		"all were changed again since":              {9, map[string]version{"a": {9, "new"}, "b": {8, "new"}, "gone": {9, "back"}}, undecided},
	} {
		if got := written.verdict(c.last, c.present); got != c.want {
			t.Errorf("%s: verdict %d, want %d", name, got, c.want)
		}
	}
}
