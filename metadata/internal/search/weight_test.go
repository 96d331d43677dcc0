package search

import (
	"fmt"
	"strings"
	"testing"
)

// A film with the longest texts takes as long to index as a hundred others. Such films are not indexed again with each
// change of another film.
func TestHeavyFilms(t *testing.T) {
	x := New()
	const heavy, light = 40, 32
	for i := range heavy {
		f := Film{ID: fmt.Sprint("heavy", i), Title: fmt.Sprint("Heavy ", i)}
		for j := range 50 {
			f.Alternatives = append(f.Alternatives, strings.Repeat(string(rune('a'+i%26))+string(rune('a'+j%26))+" ", 160)+fmt.Sprint(j))
		}
		x.Apply([]Change{{Film: f}})
	}
	x.Wait()
	if n := len(x.now.Load().views); n > 16 {
		t.Errorf("%d films are in %d segments", heavy, n)
	}
	large := 0
	for i := range light {
		id := fmt.Sprint("light", i)
		x.Apply([]Change{{Film: Film{ID: id, Title: fmt.Sprint("Light ", i)}}})
		x.Wait()
		views := x.now.Load().views
		at, _, ok := locate(views, id)
		if !ok {
			t.Fatalf("%s is not there", id)
		}
		if views[at].segment.weight > x.levels.smallest {
			large++ // a level was full and was merged
		}
	}
	if large > light/4 {
		t.Errorf("%d of %d small changes built a segment of more than %d", large, light, x.levels.smallest)
	}
	if n := len(x.Search(Query{Text: "heavy", Limit: 100}).Hits); n != heavy {
		t.Errorf("%d of %d films are found", n, heavy)
	}
}
