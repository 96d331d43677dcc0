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
		if sortKey, gotID := splitTitleKey(key); gotID != id || sortKey != title {
			t.Errorf("title key %+q splits into %+q and %+q", key, sortKey, gotID)
		}
	})
}
