package movie

import (
	"context"
	"log/slog"
	"math/rand/v2"
	"time"

	"github.com/prometheus/client_golang/prometheus"
)

const (
	// votesEvery is the shortest time between two looks at the rating service, votesShare how many times as long as
	// the last sweep took the next has to wait: the sweeps of a large catalogue take a twentieth of the time at most.
	votesEvery = time.Second
	votesShare = 20
	// votesAnyway is the longest time between two sweeps. A change that was undone between two looks may have been read by the
	// sweep in between.
	votesAnyway = 5 * time.Minute
	// votesTimeout bounds each call, for which no request waits.
	votesTimeout = 30 * time.Second
)

// votesSync tells the metadata service how many ratings each film has, by which search orders its hits. It is here because
// only this service knows both. Several processes may do it at once: each sends the current numbers.
type votesSync struct {
	catalogue catalogue
	ratings   ratings
	logger    *slog.Logger

	swept   totals        // before the last complete sweep; films is -1 before the first
	sweptAt time.Time     // when that began
	took    time.Duration // how long it took
	away    bool          // whether the last look failed

	lastTime, lastDuration prometheus.Gauge
	changed                prometheus.Counter
}

func newVotesSync(c catalogue, r ratings, logger *slog.Logger) *votesSync {
	return &votesSync{
		catalogue: c, ratings: r, logger: logger,
		lastTime: prometheus.NewGauge(prometheus.GaugeOpts{
			Name: "movieexample_movie_votes_sync_last_timestamp_seconds",
			Help: "When the last complete sweep that sent numbers of ratings to the metadata service ended; 0 before the first.",
		}),
		lastDuration: prometheus.NewGauge(prometheus.GaugeOpts{
			Name: "movieexample_movie_votes_sync_last_duration_seconds",
			Help: "How long that sweep took.",
		}),
		changed: prometheus.NewCounter(prometheus.CounterOpts{
			Name: "movieexample_movie_votes_sync_changed_films_total",
			Help: "Films whose number of ratings changed in the metadata service.",
		}),
	}
}

func (v *votesSync) collectors() []prometheus.Collector {
	return []prometheus.Collector{v.lastTime, v.lastDuration, v.changed}
}

func (v *votesSync) loop(ctx context.Context) error {
	for {
		v.look(ctx)
		// Jittered, so that several processes that started together do not stay together.
		pause := max(votesEvery, votesShare*v.took)
		pause += rand.N(pause / 5)
		select {
		case <-ctx.Done():
			return nil
		case <-time.After(pause):
		}
	}
}

// look makes a sweep if there may be news, and logs the beginning and the end of an outage.
func (v *votesSync) look(ctx context.Context) {
	err := v.update(ctx)
	switch {
	case ctx.Err() != nil:
	case err != nil && !v.away:
		v.away = true
		v.logger.WarnContext(ctx, "cannot send numbers of ratings to the metadata service; search orders by the last known ones", "error", err)
	case err == nil && v.away:
		v.away = false
		v.logger.InfoContext(ctx, "sending numbers of ratings to the metadata service again")
	}
}

func (v *votesSync) update(ctx context.Context) error {
	began := time.Now()
	bounded, cancel := context.WithTimeout(ctx, votesTimeout)
	defer cancel()
	// Before the sweep: what is rated while it runs shows as other totals next time.
	now, err := v.ratings.totals(bounded)
	if err != nil {
		return err
	}
	if now.sameVotes(v.swept) && !v.sweptAt.IsZero() && began.Sub(v.sweptAt) < votesAnyway {
		return nil
	}
	changed, err := v.sweep(ctx)
	v.changed.Add(float64(changed))
	if err != nil {
		return err
	}
	v.swept, v.sweptAt, v.took = now, began, time.Since(began)
	v.lastTime.SetToCurrentTime()
	v.lastDuration.Set(v.took.Seconds())
	if changed > 0 {
		v.logger.DebugContext(ctx, "numbers of ratings sent to the metadata service", "changed", changed, "duration", v.took)
	}
	return nil
}

// sweep walks all films with ratings. The range of each page begins where the one before ended, so that together they cover every
// id there is, and a film that has lost its last rating is in the range of a page that does not name it.
func (v *votesSync) sweep(ctx context.Context) (changed int, err error) {
	var r votesRange
	for token := ""; ; {
		var next string
		if r.votes, next, err = v.read(ctx, token); err != nil {
			return changed, err
		}
		r.through = ""
		if next != "" {
			if len(r.votes) == 0 {
				token = next
				continue
			}
			r.through = r.votes[len(r.votes)-1].id
		}
		n, err := v.send(ctx, r)
		changed += n
		if err != nil || next == "" {
			return changed, err
		}
		r.after, token = r.through, next
	}
}

func (v *votesSync) read(ctx context.Context, token string) ([]filmVotes, string, error) {
	ctx, cancel := context.WithTimeout(ctx, votesTimeout)
	defer cancel()
	return v.ratings.votesPage(ctx, token)
}

func (v *votesSync) send(ctx context.Context, r votesRange) (int, error) {
	ctx, cancel := context.WithTimeout(ctx, votesTimeout)
	defer cancel()
	return v.catalogue.syncVotes(ctx, r)
}
