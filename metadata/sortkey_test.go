package metadata

import (
	"strings"
	"testing"

	"pgregory.net/rapid"
)

func TestTitleKey(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		s := rapid.String().Draw(t, "title")
		key := titleKey(strings.ReplaceAll(s, keyEnd, ""), "id")
		title, id, _ := strings.Cut(key, keyEnd)
		if id != "id" || strings.Contains(title, keyEnd) {
			t.Errorf("title key of %+q has the id %q", s, id)
		}
		if idOfTitleKey(key) != id || sortKeyOf(key) != title {
			t.Errorf("title key %+q comes apart as %+q and %+q", key, sortKeyOf(key), idOfTitleKey(key))
		}
	})
}
