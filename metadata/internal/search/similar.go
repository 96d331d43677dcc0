package search

import (
	"cmp"
	"math"
	"slices"
	"strings"
)

// unknownYear is the factor between two films if one has no year.
const unknownYear = 0.25

// likeness is a film of a view and how similar it is.
type likeness struct {
	similarity float64
	votes      int32
	id         string
}

func (a likeness) compare(b likeness) int {
	return cmp.Or(cmp.Compare(b.similarity, a.similarity), cmp.Compare(b.votes, a.votes), strings.Compare(a.id, b.id))
}

//lint:ignore U1000 It is called through the type parameter of top, which staticcheck does not see.
func (a likeness) before(b likeness) bool { return a.compare(b) < 0 }

// Similar returns the films most similar to one, at most limit; ok is false if it does not exist.
//
// The similarity of two films is the share of genres that they have in common (Jaccard: those of both by
// those of either) times 2^(-|difference in years|/10), or times 0.25 where a year is unknown.
// Films without a common genre are not similar. Most similar films come first, then those with
// more votes, then by id.
func (x *Index) Similar(id string, limit int) (like []Neighbour, ok bool) {
	now := x.now.Load()
	at, film, ok := locate(now.views, id)
	if !ok {
		return nil, false
	}
	if limit <= 0 {
		return nil, true
	}
	of := now.views[at]
	year := of.years[film]
	keys := make([]string, 0, 8)
	for _, g := range of.sets[of.genreSet[film]] {
		keys = append(keys, of.keys[g])
	}
	factors := yearFactors(int(year))

	var best top[likeness]
	for i, v := range now.views {
		jaccard := v.jaccard(keys)
		v.live.each(func(other uint32) {
			l := likeness{similarity: jaccard[v.genreSet[other]]}
			if l.similarity == 0 || i == at && other == film {
				return
			}
			l.similarity *= factors[v.years[other]]
			full := len(best) == limit
			if full && l.similarity < best[0].similarity {
				return
			}
			l.votes = v.votesOf(other)
			if full && l.similarity == best[0].similarity && l.votes < best[0].votes {
				return
			}
			l.id = v.id(other)
			best.offer(l, limit)
		})
	}
	slices.SortFunc(best, likeness.compare)
	for _, l := range best {
		like = append(like, Neighbour{ID: l.id, Similarity: l.similarity})
	}
	return like, true
}

// jaccard is how similar each set of genres of the view is to the genres of the keys.
func (v view) jaccard(keys []string) []float64 {
	out := make([]float64, len(v.sets))
	for i, set := range v.sets {
		both := 0
		for _, g := range set {
			if slices.Contains(keys, v.keys[g]) {
				both++
			}
		}
		if both > 0 {
			out[i] = float64(both) / float64(len(set)+len(keys)-both)
		}
	}
	return out
}

// yearFactors are the factors of films by their years; 0 is the unknown one.
func yearFactors(year int) []float64 {
	out := make([]float64, 10_000)
	for other := range out {
		if year == 0 || other == 0 {
			out[other] = unknownYear
			continue
		}
		// Ten thousand years give 2^-1000, which a float64 can still hold.
		out[other] = math.Exp2(-math.Abs(float64(year-other)) / 10)
	}
	return out
}
