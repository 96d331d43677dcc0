package movielens

import (
	"math"
	"math/rand/v2"
)

// zipfWeights returns weights for a [picker], in the order of popularity, with
// which films are rated as often as Zipf's law with that slope says.
//
// The powers of the rank themselves would not do: a user rates a film once, so those who rate a thousand films take
// nearly all the popular ones and then the less popular, and the head of the curve comes out much too flat. The
// picker includes a film of weight w with probability 1-exp(-τw), where τ is such that the user's number of films
// comes out. So this function looks for the weights that give the wanted expectation, by scaling each with what is
// missing. Ranks and users are put into classes, geometric ones, to make it fast.
//
// No film can be rated by more than all users; where the law would want that, the
// film gets nearly all and the others share what is left.
func zipfWeights(slope float64, films int, counts []int32) []float64 {
	ranks := rankClasses(films)
	users := activityClasses(counts)
	wanted := wantedRatings(slope, ranks, users)

	logWeight := make([]float64, len(ranks))
	for k := range ranks {
		logWeight[k] = -slope * math.Log(ranks[k].rank)
	}
	weight, expected := make([]float64, len(ranks)), make([]float64, len(ranks))
	for range 25 {
		for k := range logWeight {
			weight[k] = math.Exp(logWeight[k])
			expected[k] = 0
		}
		for _, u := range users {
			tau := thresholdFor(u.films, ranks, weight)
			for k := range weight {
				expected[k] += u.users * -math.Expm1(-tau*weight[k])
			}
		}
		top := math.Inf(-1)
		for k := range logWeight {
			logWeight[k] += math.Log(wanted[k] / expected[k])
			top = max(top, logWeight[k])
		}
		for k := range logWeight {
			// Only ratios count. The bound is reached only where users rate nearly
			// everything, and then weights hardly matter.
			logWeight[k] = max(logWeight[k]-top, -30)
		}
	}

	weights := make([]float64, films)
	k := 0
	for i := range weights {
		rank := float64(i + 1)
		for k+2 < len(ranks) && rank > ranks[k+1].rank {
			k++
		}
		w := logWeight[k]
		if k+1 < len(ranks) {
			between := math.Log(rank/ranks[k].rank) / math.Log(ranks[k+1].rank/ranks[k].rank)
			w += between * (logWeight[k+1] - logWeight[k])
		}
		weights[i] = math.Exp(w)
	}
	return weights
}

// rankClass represents that many films around a rank.
type rankClass struct{ rank, films float64 }

func rankClasses(films int) []rankClass {
	var classes []rankClass
	for first := 1; first <= films; {
		last := min(first+first/12, films)
		classes = append(classes, rankClass{rank: math.Sqrt(float64(first) * float64(last)), films: float64(last - first + 1)})
		first = last + 1
	}
	return classes
}

// activityClass represents that many users who rate about that many films each.
type activityClass struct{ users, films float64 }

func activityClasses(counts []int32) []activityClass {
	byLog := make([]activityClass, 32*8)
	for _, c := range counts {
		class := &byLog[int(8*math.Log2(float64(c)))]
		class.users++
		class.films += float64(c)
	}
	var classes []activityClass
	for _, class := range byLog {
		if class.users > 0 {
			classes = append(classes, activityClass{class.users, class.films / class.users})
		}
	}
	return classes
}

// wantedRatings is how often a film of each class shall be rated.
func wantedRatings(slope float64, ranks []rankClass, users []activityClass) []float64 {
	var total, most float64
	for _, u := range users {
		total += u.users * u.films
		most += u.users
	}
	most *= 0.98
	share := func(scale float64, k int) float64 { return min(scale*math.Pow(ranks[k].rank, -slope), most) }
	low, high := 0.0, total*math.Pow(ranks[len(ranks)-1].rank, slope)
	for range 100 {
		scale, sum := (low+high)/2, 0.0
		for k := range ranks {
			sum += ranks[k].films * share(scale, k)
		}
		if sum < total {
			low = scale
		} else {
			high = scale
		}
	}
	wanted := make([]float64, len(ranks))
	for k := range ranks {
		wanted[k] = share(high, k)
	}
	return wanted
}

// thresholdFor is the τ at which a user is expected to include that many films. The expectation grows with τ and
// bends downwards, so Newton's method gets there from below without a detour.
func thresholdFor(films float64, ranks []rankClass, weight []float64) float64 {
	tau := 0.0
	for range 60 {
		missing, gain := films, 0.0
		for k, w := range weight {
			left := math.Exp(-tau * w)
			missing -= ranks[k].films * (1 - left)
			gain += ranks[k].films * w * left
		}
		if missing < 1e-9*films || gain < 1e-9 {
			break
		}
		tau += missing / gain
	}
	return tau
}

// shuffled returns weights in a random order, so that a film's id says nothing about its popularity.
func shuffled(rng *rand.Rand, weights []float64) []float64 {
	rng.Shuffle(len(weights), func(i, j int) { weights[i], weights[j] = weights[j], weights[i] })
	return weights
}
