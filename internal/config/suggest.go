package config

import "strings"

// Nearest returns the candidate that name probably means, or "" if none is close. Case and separators do not count:
// chartMinVotes and chart-min-votes are chart_min_votes.
func Nearest(name string, candidates []string) string {
	fold := func(s string) string {
		return strings.NewReplacer("_", "", "-", "", ".", "").Replace(strings.ToLower(s))
	}
	// The shared prefix says nothing about nearness, and would make every variable seem close to every other.
	name = fold(strings.TrimPrefix(name, EnvPrefix))
	if len(name) > 200 {
		return "" // no typo of any key, and the comparison is quadratic
	}
	best, bestDistance := "", 0
	for _, c := range candidates {
		folded := fold(strings.TrimPrefix(c, EnvPrefix))
		d := distance(name, folded)
		if d > max(1, min(len(name), len(folded))/3) {
			continue
		}
		if best == "" || d < bestDistance {
			best, bestDistance = c, d
		}
	}
	return best
}

// distance is the Damerau-Levenshtein distance in its optimal string alignment form (insert, delete, replace, swap of neighbours), in bytes.
func distance(a, b string) int {
	before, last := make([]int, len(b)+1), make([]int, len(b)+1)
	for j := range last {
		last[j] = j
	}
	for i := 1; i <= len(a); i++ {
		row := make([]int, len(b)+1)
		row[0] = i
		for j := 1; j <= len(b); j++ {
			cost := 1
			if a[i-1] == b[j-1] {
				cost = 0
			}
			row[j] = min(row[j-1]+1, last[j]+1, last[j-1]+cost)
			if i > 1 && j > 1 && a[i-1] == b[j-2] && a[i-2] == b[j-1] {
				row[j] = min(row[j], before[j-2]+1)
			}
		}
		before, last = last, row
	}
	return last[len(b)]
}
