package poster

// dice is a stream of choices that depends on nothing but the film. SplitMix64
// (Steele, Lea, Flood: Fast Splittable Pseudorandom Number Generators, 2014) is
// fixed here by its constants; math/rand promises no sequence across versions of
// Go, and a poster must survive them.
type dice uint64

// seed was tried against the demo's wall: with it no two films that stand beside
// each other in the top thirty share palette and motif.
const seed = 5

// throw starts the stream of a film: FNV-1a of the id.
func throw(id string) dice {
	h := uint64(14695981039346656037) + seed
	for i := range len(id) {
		h = (h ^ uint64(id[i])) * 1099511628211
	}
	return dice(h)
}

func (d *dice) next() uint64 {
	*d += 0x9e3779b97f4a7c15
	z := uint64(*d)
	z = (z ^ z>>30) * 0xbf58476d1ce4e5b9
	z = (z ^ z>>27) * 0x94d049bb133111eb
	return z ^ z>>31
}

// n returns one of 0 … k-1.
func (d *dice) n(k int) int { return int(d.next() % uint64(k)) }

// in returns a whole number of lo … hi, both included.
func (d *dice) in(lo, hi int) float64 { return float64(lo + d.n(hi-lo+1)) }

// one returns one of the values.
func (d *dice) one(values ...float64) float64 { return values[d.n(len(values))] }

// odds is true k times of n.
func (d *dice) odds(k, n int) bool { return d.n(n) < k }
