package movielens

import (
	"errors"
	"fmt"
	"iter"
	"math"
	"time"
)

// RatedFilm is a film that [Synthetic] makes up ratings for.
type RatedFilm struct {
	// ID is given back in the ratings. It must not be empty or occur twice.
	ID string
	// Level is the mean that the film's ratings shall have, 1 to 10.
	Level float64
	// Weight says how sought after the film is: with twice the weight a user is
	// about twice as likely to rate it. Greater than 0; only ratios count.
	Weight float64
}

// SyntheticRating is one made-up rating.
type SyntheticRating struct {
	// UserID is "demo-0001" and so on, with more digits if there are more than 9,999 users.
	UserID string
	// FilmID is the ID of a RatedFilm.
	FilmID string
	// Value is 1 to 10.
	Value int
	// RatedAt is in UTC, to the second, in the ten years up to end.
	RatedAt time.Time
}

// Spread of the opinions about one film on the scale of 1 to 10. Together 1.7,
// which is about what a film has at the sites that publish histograms.
const (
	syntheticUserSpread = 0.7
	syntheticNoise      = 1.55
)

// syntheticSpan is the time over which ratings are spread.
const syntheticSpan = 10 * 365 * 24 * time.Hour

// Synthetic makes up exactly that many ratings by exactly that many users, at most one for each film and user, user
// after user. Users differ in how much they rate and how kindly, films in how often they are rated and how well. The
// values of a film with 300 ratings or more have a mean within 0.15 of its level: values end at 1 and 10, which pulls
// the mean inwards, and this is corrected for.
//
// The same arguments give the same ratings, each time the stream is read. It holds
// a few bytes for each user and film, regardless of the number of ratings.
//
// The error names the argument that is out of range: users from 1 up, ratings from
// users to users × films, and films as [RatedFilm] says.
func Synthetic(seed uint64, users, ratings int, films []RatedFilm, end time.Time) (iter.Seq[SyntheticRating], error) {
	if err := checkSynthetic(users, ratings, films); err != nil {
		return nil, fmt.Errorf("make up ratings: %w", err)
	}
	c := &crowd{seed: seed, noise: syntheticNoise}
	for value := 1.5; value < 10; value++ {
		c.cuts = append(c.cuts, value)
	}
	for _, film := range films {
		c.weights = append(c.weights, film.Weight)
		c.location = append(c.location, locationFor(film.Level, math.Hypot(syntheticUserSpread, syntheticNoise)))
	}
	least := min(leastRatings, ratings/users)
	c.counts = activity(seed, users, ratings, least, len(films))
	c.bias = biases(seed, c.counts, syntheticUserSpread)

	ids := make([]string, len(films))
	for i := range films {
		ids[i] = films[i].ID // the caller's slice may change while the stream is read
	}
	return func(yield func(SyntheticRating) bool) {
		times := newCalendar(seed, end.Add(-syntheticSpan).Unix(), end.Unix())
		for user, votes := range c.votes() {
			name := fmt.Sprintf("demo-%04d", user+1)
			times.newUser(len(votes))
			for _, v := range votes {
				if !yield(SyntheticRating{name, ids[v.film], c.value(v), time.Unix(times.next(), 0).UTC()}) {
					return
				}
			}
		}
	}, nil
}

func checkSynthetic(users, ratings int, films []RatedFilm) error {
	if len(films) == 0 {
		return errors.New("there are no films; give at least one")
	}
	if users < 1 {
		return fmt.Errorf("%d users; there must be at least 1", users)
	}
	if ratings < users {
		return fmt.Errorf("%d ratings for %d users; every user needs at least one", ratings, users)
	}
	if ratings > users*len(films) {
		return fmt.Errorf("%d ratings are more than one for each of %d users and %d films (%d)", ratings, users, len(films), users*len(films))
	}
	known := make(map[string]bool, len(films))
	for i, film := range films {
		switch {
		case film.ID == "":
			return fmt.Errorf("film %d has an empty id", i)
		case known[film.ID]:
			return fmt.Errorf("film %q occurs twice", film.ID)
		case !(film.Level >= 1 && film.Level <= 10):
			return fmt.Errorf("film %q: level %v must be from 1 to 10", film.ID, film.Level)
		case !(film.Weight > 0) || math.IsInf(film.Weight, 0):
			return fmt.Errorf("film %q: weight %v must be greater than 0", film.ID, film.Weight)
		}
		known[film.ID] = true
	}
	return nil
}

// locationFor is the mean of the normal distribution with that spread whose values, rounded and limited to 1 to 10,
// have mean level. The mean of the values grows with the location, so bisection finds it; at the very ends of the
// scale the location would be infinite, and 20 away is as good.
func locationFor(level, spread float64) float64 {
	low, high := -20.0, 31.0
	for range 60 {
		mid := (low + high) / 2
		mean := 1.0
		for cut := 1.5; cut < 10; cut++ {
			mean += normalTail((cut - mid) / spread)
		}
		if mean < level {
			low = mid
		} else {
			high = mid
		}
	}
	return (low + high) / 2
}
