package movielens

import (
	"cmp"
	"iter"
	"math"
	"math/rand/v2"
	"slices"
)

// crowd makes up who rates what, and how: the core of both generators.
//
// A value comes from a latent opinion, the film's location plus the user's bias plus noise, by counting the cuts
// below it. Locations and cuts are the caller's; the two generators differ in nothing else.
//
// Everything is drawn from generators seeded by seed and a purpose, so that a crowd gives the same votes each time it
// is asked, and one more draw for one purpose does not change another.
type crowd struct {
	seed     uint64
	counts   []int32   // ratings of each user
	bias     []float32 // of each user's opinions; mean 0 over all ratings
	weights  []float64 // of each film: how sought after it is
	location []float64 // of each film: the mean opinion of it
	cuts     []float64 // ascending; value 1 is below the first
	noise    float64   // standard deviation of one user's opinions of equal films
}

// vote is one user's opinion of one film; crowd.value makes it a rating.
type vote struct {
	film    int32
	opinion float64
}

// Purposes of the random generators. The numbers are part of what a seed means.
const (
	forActivity uint64 = iota + 1
	forBias
	forVotes
	forFilms
	forTitles
	forTimes
)

func generator(seed, purpose uint64) *rand.Rand { return rand.New(rand.NewPCG(seed, purpose)) }

// Activity: how many films a user rates. In ml-latest-small the logarithms of these numbers have mean 4.448 and
// standard deviation 1.060, and no user has fewer than 20. A lognormal with those parameters would put 9 % of the
// users below 20; so the parameters here are those of a lognormal that has these moments after the users below 20
// were folded up, to between 20 and 27. That is also where the real data has its crowd of users who stopped at the
// minimum.
const (
	activityMu    = 4.35064
	activitySigma = 1.21692
	leastRatings  = 20
)

// activity spreads total ratings over users, each with at least least and at most most of them. The total is the
// caller's, so what users have above the minimum is stretched or shrunk by one factor, near 1 if total is about 164
// for each user. It needs users*least ≤ total ≤ users*most.
func activity(seed uint64, users, total, least, most int) []int32 {
	rng := generator(seed, forActivity)
	above := make([]float64, users)
	for i, rank := range rng.Perm(users) {
		// One draw from each of as many equally likely slices as there are users: a few hundred independent draws
		// would miss the shape by a tenth. Away from the slices' ends, or the busiest user would be a monster.
		quantile := (float64(rank) + 0.25 + rng.Float64()/2) / float64(users)
		x := math.Exp(activityMu + float64(activitySigma*normalQuantile(quantile)))
		if x < leastRatings {
			x = leastRatings + (leastRatings-x)/3
		}
		above[i] = x - leastRatings
	}
	want, room := float64(total-users*least), float64(most-least)
	sum := func(factor float64) (s float64) {
		for _, x := range above {
			s += min(float64(factor*x), room)
		}
		return s
	}
	low, high := 0.0, 1.0
	for sum(high) < want && high < 1e12 {
		high *= 2
	}
	for range 60 {
		if mid := (low + high) / 2; sum(mid) < want {
			low = mid
		} else {
			high = mid
		}
	}
	counts := make([]int32, users)
	given, whole := 0.0, 0
	for i, x := range above {
		// Rounding the running sum keeps each count within 1 of its share, and
		// the total within 1 of the whole. Floating point may be off by one more.
		given += min(float64(high*x), room)
		more := min(int(given)-whole, most-least)
		counts[i] = int32(least + more)
		whole += more
	}
	for missing := total - users*least - whole; missing != 0; {
		for i := range counts {
			switch {
			case missing > 0 && int(counts[i]) < most:
				counts[i]++
				missing--
			case missing < 0 && int(counts[i]) > least:
				counts[i]--
				missing++
			}
		}
	}
	return counts
}

// biases draws each user's bias with the given standard deviation, and shifts and scales them so that mean and
// deviation hold exactly over all ratings, in which a user counts as often as they rate.
func biases(seed uint64, counts []int32, spread float64) []float32 {
	rng := generator(seed, forBias)
	raw := make([]float64, len(counts))
	for i := range raw {
		raw[i] = rng.NormFloat64()
	}
	standardize(raw, func(i int) float64 { return float64(counts[i]) }, spread)
	bias := make([]float32, len(raw))
	for i, b := range raw {
		bias[i] = float32(b)
	}
	return bias
}

// standardize gives x weighted mean 0 and weighted standard deviation spread.
func standardize(x []float64, weight func(i int) float64, spread float64) {
	var total, mean, variance float64
	for i, v := range x {
		total += weight(i)
		mean += float64(weight(i) * v)
	}
	mean /= total
	for i, v := range x {
		variance += weight(i) * float64((v-mean)*(v-mean))
	}
	scale := 0.0
	if variance > 0 {
		scale = spread / math.Sqrt(variance/total)
	}
	for i, v := range x {
		x[i] = (v - mean) * scale
	}
}

// votes yields user after user, from 0, with their votes ordered by film. The slice is valid until the next step.
func (c *crowd) votes() iter.Seq2[int, []vote] {
	return func(yield func(int, []vote) bool) {
		rng := generator(c.seed, forVotes)
		pick := newPicker(c.weights)
		// The noise of a film's votes is a golden-ratio sequence with a random start instead of independent draws.
		// Its quantiles are spread evenly however many votes there are, so a film's mean comes out at its level with
		// a tenth of the votes that independent draws would need.
		phase := make([]uint32, len(c.weights))
		for i := range phase {
			phase[i] = rng.Uint32()
		}
		var votes []vote
		for user, count := range c.counts {
			votes = votes[:0]
			for _, film := range pick.films(rng, int(count)) {
				phase[film] += 0x9e3779b9 // 2³² / golden ratio
				quantile := (float64(phase[film]) + 0.5) / (1 << 32)
				opinion := c.location[film] + float64(c.bias[user]) + float64(c.noise*normalQuantile(quantile))
				votes = append(votes, vote{film, opinion})
			}
			if !yield(user, votes) {
				return
			}
		}
	}
}

// value is the rating, from 1 to one more than there are cuts.
func (c *crowd) value(v vote) int {
	value := 1
	for _, cut := range c.cuts {
		if v.opinion < cut {
			break
		}
		value++
	}
	return value
}

// cutAt places the cuts so that these shares of the votes have the values 1, 2
// and so on. It goes through all votes once.
func (c *crowd) cutAt(shares []float64) {
	// A histogram this fine puts a cut within 1/8000 of a standard deviation.
	const perUnit, limit = 8192, 8
	histogram := make([]int, 2*limit*perUnit)
	total := 0
	for _, votes := range c.votes() {
		for _, v := range votes {
			histogram[min(max(int((v.opinion+limit)*perUnit), 0), len(histogram)-1)]++
		}
		total += len(votes)
	}
	c.cuts = c.cuts[:0]
	below, bin, share := 0, 0, 0.0
	for _, s := range shares[:len(shares)-1] {
		share += s
		for ; bin < len(histogram) && float64(below) < share*float64(total); bin++ {
			below += histogram[bin]
		}
		c.cuts = append(c.cuts, float64(bin)/perUnit-limit)
	}
}

// normalQuantile is the inverse of the standard normal distribution function.
func normalQuantile(p float64) float64 { return math.Sqrt2 * math.Erfinv(2*p-1) }

// normalTail is the probability that a standard normal value is above x.
func normalTail(x float64) float64 { return math.Erfc(x/math.Sqrt2) / 2 }

// picker draws different films for one user after another, each film with
// probability proportional to its weight among those not yet drawn.
type picker struct {
	weights []float64
	accept  []float64 // alias table (Vose 1991): take i with accept[i], else alias[i]
	alias   []int32
	mark    []uint32 // number of the user who has drawn the film last
	user    uint32
	picked  []int32
	keys    []filmKey
}

type filmKey struct {
	key  float64
	film int32
}

func newPicker(weights []float64) *picker {
	n := len(weights)
	p := &picker{weights: weights, accept: make([]float64, n), alias: make([]int32, n), mark: make([]uint32, n)}
	var total float64
	for _, w := range weights {
		total += w
	}
	// small grows from the left and large from the right of one table.
	work := make([]int32, n)
	small, large := 0, n
	for i, w := range weights {
		p.accept[i] = w / total * float64(n)
		p.alias[i] = int32(i)
		if p.accept[i] < 1 {
			work[small] = int32(i)
			small++
		} else {
			large--
			work[large] = int32(i)
		}
	}
	for small > 0 && large < n {
		small--
		poor, rich := work[small], work[large]
		p.alias[poor] = rich
		p.accept[rich] -= 1 - p.accept[poor]
		if p.accept[rich] < 1 {
			large++
			work[small] = rich
			small++
		}
	}
	for ; small > 0; small-- {
		p.accept[work[small-1]] = 1 // only rounding has left them
	}
	for ; large < n; large++ {
		p.accept[work[large]] = 1
	}
	return p
}

// films returns count different films in ascending order; the slice is valid until the next call.
func (p *picker) films(rng *rand.Rand, count int) []int32 {
	p.user++
	p.picked = p.picked[:0]
	if count > len(p.weights)/8 || !p.byRejection(rng, count) {
		p.byKeys(rng, count)
	}
	slices.Sort(p.picked)
	return p.picked
}

// byRejection draws from the alias table and drops what the user has already. It
// gives up if that happens too often, because a few films have most of the weight.
func (p *picker) byRejection(rng *rand.Rand, count int) bool {
	n := uint64(len(p.weights))
	for tries := 8*count + 64; len(p.picked) < count; tries-- {
		if tries == 0 {
			p.picked = p.picked[:0]
			return false
		}
		film := int32(rng.Uint64N(n))
		if rng.Float64() >= p.accept[film] {
			film = p.alias[film]
		}
		if p.mark[film] != p.user {
			p.mark[film] = p.user
			p.picked = append(p.picked, film)
		}
	}
	return true
}

// byKeys draws the same distribution in one pass over all films: the count smallest of exponential variables with the
// weights as rates (Efraimidis and Spirakis 2006).
func (p *picker) byKeys(rng *rand.Rand, count int) {
	p.keys = p.keys[:0]
	for i, w := range p.weights {
		p.keys = append(p.keys, filmKey{rng.ExpFloat64() / w, int32(i)})
	}
	slices.SortFunc(p.keys, func(a, b filmKey) int {
		return cmp.Or(cmp.Compare(a.key, b.key), cmp.Compare(a.film, b.film))
	})
	for _, k := range p.keys[:count] {
		p.picked = append(p.picked, k.film)
	}
}

// calendar gives a user's ratings times: a first session somewhere in the span,
// later ones that thin out towards its end, and a few hours for each.
type calendar struct {
	rng        *rand.Rand
	begin, end int64 // Unix seconds
	sessions   []int64
}

const sessionLength = 3 * 3600

func newCalendar(seed uint64, begin, end int64) *calendar {
	return &calendar{rng: generator(seed, forTimes), begin: begin, end: end}
}

// newUser starts the calendar of a user with that many ratings.
func (c *calendar) newUser(ratings int) {
	c.sessions = c.sessions[:0]
	last := c.end - sessionLength
	first := c.begin + int64(c.rng.Float64()*float64(last-c.begin))
	c.sessions = append(c.sessions, first)
	for range ratings / 40 {
		u := c.rng.Float64()
		c.sessions = append(c.sessions, first+int64(u*u*float64(last-first)))
	}
}

// next is the Unix time of one more rating, within begin and end.
func (c *calendar) next() int64 {
	return c.sessions[c.rng.IntN(len(c.sessions))] + c.rng.Int64N(sessionLength)
}
