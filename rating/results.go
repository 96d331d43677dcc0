package rating

import (
	"context"
	"errors"
	"fmt"
	"time"

	"movieexample.com/internal/cache"
	"movieexample.com/internal/fault"
)

// results are the answers that are computed from many rows, and cached: charts, totals, priors, user counts and histories.
type results struct {
	store    *store
	minVotes int

	snapshots *cache.Results[string, *snapshot] // snapshots, priors and users: by record type
	priors    *cache.Results[string, Prior]
	trends    *cache.Results[trendKey, *trend]
	users     *cache.Results[string, userCount]
	histories *cache.Results[Record, recordHistory]
	// longHistory admits one reader of a long history at a time, so that such requests cannot occupy every core and every
	// connection to the database.
	longHistory chan struct{}
}

const (
	// maxTypes bounds the record types whose results are cached, because the type comes from the caller.
	maxTypes = 64
	// maxHistories bounds the cached histories.
	maxHistories = 1024
	// longVotes is the number of ratings from which on a history is cached. Up to it reading takes a millisecond or two; a million
	// ratings take one or two seconds.
	longVotes = 1000
	// priorPatience is how long a single record's summary waits for a new prior if an older one is known.
	priorPatience = 20 * time.Millisecond
)

// What the declarations of the caches have in common.
const (
	byAge = "the age alone"
	kept  = "the last result"
)

func newResults(g *cache.Group, cfg Config, s *store) (*results, error) {
	r := &results{store: s, minVotes: cfg.ChartMinVotes, longHistory: make(chan struct{}, 1)}
	spec := func(name, holds string, entries int, fresh, maxAge string) cache.Spec {
		return cache.Spec{
			Name: "rating_" + name, Holds: holds, Entries: entries,
			Fresh: fresh, MaxAge: maxAge, Away: kept,
		}
	}
	const atLeast = "`rating.chart_max_age`, or 20 times its cost"
	var errs [5]error
	r.snapshots, errs[0] = cache.NewResults[string, *snapshot](g, spec("snapshots", "a type's aggregates, its top and popular charts", maxTypes, byAge, atLeast),
		cache.ResultOptions{MinAge: cfg.ChartMaxAge})
	r.priors, errs[1] = cache.NewResults[string, Prior](g, spec("priors", "a type's prior", maxTypes, byAge, atLeast),
		cache.ResultOptions{MinAge: cfg.ChartMaxAge, Patience: priorPatience})
	r.trends, errs[2] = cache.NewResults[trendKey, *trend](g, spec("trends", "a type's trending chart", maxTypes, "another snapshot", "20 times its cost, 200 times with the same snapshot"),
		cache.ResultOptions{})
	// The number is shown beside totals as of now: an old one would be taken for theirs.
	r.users, errs[3] = cache.NewResults[string, userCount](g, spec("users", "how many users rated a type", maxTypes, "other totals or votes", atLeast+"; 10 times that with the same totals"),
		cache.ResultOptions{MinAge: cfg.ChartMaxAge, AlwaysWait: true})
	r.histories, errs[4] = cache.NewResults[Record, recordHistory](g, spec("histories", "the years of a record with many ratings", maxHistories, "another aggregate", "20 times its cost, 200 times with the same aggregate"),
		cache.ResultOptions{})
	return r, errors.Join(errs[:]...)
}

// snapshot returns what is computed from all aggregates of a type. Only its age decides when it is recomputed, because no cheaper
// read detects every change: changes cancel out in sums, a late event is not the newest rating, offsets move with events only, and this
// process does not see the writes of others.
func (r *results) snapshot(ctx context.Context, recordType string) (*snapshot, error) {
	return r.snapshots.Get(ctx, recordType, nil, func(ctx context.Context) (*snapshot, error) {
		return buildSnapshot(ctx, r.store, recordType, r.minVotes)
	})
}

// prior returns the prior of a single record's weighted mean. It has a separate query, because a summary must not wait for a
// snapshot, which costs many times as much.
func (r *results) prior(ctx context.Context, recordType string) (Prior, error) {
	return r.priors.Get(ctx, recordType, nil, func(ctx context.Context) (Prior, error) {
		t, err := r.store.totals(ctx, recordType)
		return Prior{MinVotes: r.minVotes, Mean: t.mean()}, err
	})
}

// chartKind is one of the charts.
type chartKind uint8

const (
	chartTop chartKind = iota
	chartPopular
	chartTrending
)

// chartQuery asks for a page of a chart.
type chartQuery struct {
	recordType  string
	kind        chartKind
	start       *chartPlace // nil: the best place
	size, slack int
	basis       chartBasis
}

// chartBasis is what a chart was computed with on the first page of a walk (ADR 023), and what its other pages are computed with.
type chartBasis struct {
	mean  *float64 // of all ratings; nil: the current one
	since Micros   // 0: the current one
}

// chartPage is a page of a chart.
type chartPage struct {
	entries []chartEntry
	next    *chartPlace // nil: there is no more
	prior   Prior
	since   Micros    // see [trend]
	asOf    time.Time // of the order
	read    time.Time // of the aggregates
}

// chart returns a page of a chart.
func (r *results) chart(ctx context.Context, q chartQuery) (chartPage, error) {
	sn, err := r.snapshot(ctx, q.recordType)
	if err != nil {
		return chartPage{}, err
	}
	p := chartPage{asOf: sn.asOf}
	if q.kind == chartTrending {
		t, err := r.trending(ctx, q.recordType, q.basis.since)
		if err != nil {
			return chartPage{}, err
		}
		sn, p.entries, p.since, p.asOf = t.snapshot, t.entries, t.since, t.asOf
	}
	p.read, p.prior = sn.asOf, sn.prior
	if q.basis.mean != nil {
		p.prior.Mean = *q.basis.mean
	}
	switch q.kind {
	case chartTop:
		p.entries = sn.top(p.prior)
	case chartPopular:
		p.entries = sn.popular()
	}
	p.entries, p.next = window(p.entries, q.start, q.size, q.slack)
	return p, nil
}

// oldBasis is how much older than that of the current chart the basis of a walk may be. A page token is valid for three days.
const oldBasis = Micros(8 * 24 * time.Hour / time.Microsecond)

// trending returns the trending chart of a type; of the ratings since a time, if that is not 0 and not too old.
func (r *results) trending(ctx context.Context, recordType string, since Micros) (*trend, error) {
	current, err := r.trendSince(ctx, trendKey{recordType: recordType})
	if err != nil || since == 0 || since == current.since || since < current.since-oldBasis {
		return current, err
	}
	return r.trendSince(ctx, trendKey{recordType, since})
}

// trendSince returns a trend. It is based on the snapshot whose aggregates it shows and is recomputed as soon as the snapshot is. If it
// had a separate minimum age, both ages would add up.
func (r *results) trendSince(ctx context.Context, key trendKey) (*trend, error) {
	sn, err := r.snapshot(ctx, key.recordType)
	if err != nil {
		return nil, err
	}
	return r.trends.Get(ctx, key, sn, func(ctx context.Context) (*trend, error) {
		sn, err := r.snapshot(ctx, key.recordType)
		if err != nil {
			return nil, err
		}
		return buildTrend(ctx, r.store, key, sn, trendingEnough)
	})
}

// typeTotals are the totals of a type.
type typeTotals struct {
	totals
	prior Prior
	votes votesDigest
	asOf  time.Time
	users userCount
}

// totalsOf returns the totals of a type.
func (r *results) totalsOf(ctx context.Context, recordType string) (typeTotals, error) {
	sn, err := r.snapshot(ctx, recordType)
	if err != nil {
		return typeTotals{}, err
	}
	users, err := r.countedUsers(ctx, recordType, sn)
	return typeTotals{sn.totals, sn.prior, sn.votes, sn.asOf, users}, err
}

// userCount is how many users have at least one rating of a type. The zero value means not counted yet.
type userCount struct {
	asOf  time.Time
	users int64
}

// countPatience is how long a request for totals waits for the users to be counted, before it gets an older number or none.
const countPatience = 500 * time.Millisecond

// countedUsers returns the number of users with a rating of a type. It is counted again when twenty times the cost of counting has
// passed, and ten times less often while the snapshot has the same totals and numbers of ratings of each record. It is the zero
// userCount if it was never counted and counting takes long.
func (r *results) countedUsers(ctx context.Context, recordType string, sn *snapshot) (userCount, error) {
	type basis struct {
		totals
		votesDigest
	}
	patient, cancel := context.WithTimeout(ctx, countPatience)
	defer cancel()
	n, err := r.users.Get(patient, recordType, basis{sn.totals, sn.votes}, func(ctx context.Context) (userCount, error) {
		n := userCount{asOf: r.store.now()}
		var err error
		n.users, err = r.store.countUsers(ctx, recordType)
		return n, err
	})
	if err != nil && patient.Err() != nil && ctx.Err() == nil {
		return userCount{}, nil // counting continues, for later requests
	}
	return n, err
}

// recordHistory is a record's ratings by the year they were given in, oldest first.
type recordHistory struct {
	asOf  time.Time
	years []yearVotes
}

// history returns a record's ratings by year. Those of a record with more than longVotes ratings are cached, with the record's
// aggregate as basis. A record without ratings is NotFound.
func (r *results) history(ctx context.Context, rec Record) (recordHistory, error) {
	if err := rec.validate(); err != nil {
		return recordHistory{}, err
	}
	a, err := r.store.aggregate(ctx, rec)
	if err != nil {
		return recordHistory{}, err
	}
	var h recordHistory
	switch {
	case a.Votes == 0:
	case a.Votes <= longVotes:
		h, err = r.readHistory(ctx, rec)
	default:
		h, err = r.histories.Get(ctx, rec, a, func(ctx context.Context) (recordHistory, error) {
			select {
			case r.longHistory <- struct{}{}:
				defer func() { <-r.longHistory }()
				return r.readHistory(ctx, rec)
			case <-ctx.Done():
				return recordHistory{}, fmt.Errorf("wait for another long history: %w", ctx.Err())
			}
		})
	}
	if err == nil && len(h.years) == 0 {
		err = noRatings(rec)
	}
	return h, err
}

func (r *results) readHistory(ctx context.Context, rec Record) (h recordHistory, err error) {
	h.asOf = r.store.now()
	h.years, err = r.store.years(ctx, rec)
	return h, err
}

// noRatings is the error of a record without ratings.
func noRatings(rec Record) error { return fault.NotFound("%s %q has no ratings", rec.Type, rec.ID) }
