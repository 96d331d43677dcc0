package movie

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"time"

	"movieexample.com/internal/cache"
	"movieexample.com/internal/fault"
)

const (
	// statsTTL is how long numbers about everything are used.
	statsTTL = time.Second
	// keptFor is when a page is removed although nothing changed.
	keptFor = 10 * time.Minute
	// similarsMost bounds the lists of similar films, which are small; pagesBytes bounds lists, charts and searches, each, by what
	// their films and texts take if no other page has them too.
	similarsMost = 2000
	pagesBytes   = 32 << 20
	// windowsKept is as many chart windows as a page of each chart may look through.
	windowsKept = 3 * windowsMost
)

func newCaches(g *cache.Group, cfg Config, films, aside catalogue, ratings ratings, away *cache.Breaker, logger *slog.Logger) (caches, error) {
	c := caches{group: g}
	var errs []error
	var err error
	// Without metadata, the last known value of whatever is made of films alone is served.
	metadata := cache.Source{
		Patience: cfg.MetadataTimeout, Breaker: away, Late: lateMetadata,
		Away: func(err error) bool { return errors.As(err, new(metadataAway)) },
	}
	const lastKnown, seconds = "the last known", "1 s or while the version is the same"
	const moves = "the catalogue's version; a write through this instance"

	c.probe, err = newVersionProbe(g, cache.Spec{
		Name: "movie_version", Holds: "the catalogue's version", Entries: 1,
		MaxAge: fmt.Sprint(confirmedFor), Fresh: fmt.Sprintf("a probe every %v while requests come", probeEvery),
		Away: "nothing: entries are used for 1 s",
	}, cfg.MetadataTimeout, aside.readVersion)
	errs = append(errs, err)

	batcher := &cache.Batcher[string, *Movie]{One: films.get, Many: films.batch, Missing: noMovie}
	c.films, err = cache.New(g, cache.Spec{
		Name: "movie_films", Holds: "a film, by id", Entries: cfg.CacheSize, Setting: "movie.cache_size",
		MaxAge: fmt.Sprintf("%v or while the version is the same", cfg.MetadataTTL), Fresh: moves + "; read-your-writes",
		Away: lastKnown + fmt.Sprintf(", up to %g h old", cfg.MetadataStaleFor.Hours()),
	}, cache.Options[string, *Movie, readView]{
		Fresh: func(e *entry[*Movie], now readView) bool {
			return (now.within(e.Read, cfg.MetadataTTL) || now.sameMovies(e.Read)) && now.filmsMeet(e.Read)
		},
		Join: func(read, now readView) bool { return now.filmsMeet(read) },
		Same: sameMovie, Newer: readView.newer, Keep: cfg.MetadataStaleFor,
		Load: batcher.Load, LoadAll: films.batch, Missing: noMovie, Timeout: cfg.MetadataTimeout, Source: metadata,
	})
	errs = append(errs, err)

	c.summaries, err = newSummaries(g, cache.Spec{
		Name: "movie_summaries", Holds: "a film's rating summary", Entries: cfg.StaleSize, Setting: "movie.stale_size",
		MaxAge: fmt.Sprint(cfg.RatingTTL), Fresh: fmt.Sprintf("a refresh after %v; a rating in this process; read-your-writes", cfg.RatingTTL/2),
		Away: lastKnown + fmt.Sprintf(", up to %g h old", cfg.RatingStaleFor.Hours()),
	}, cfg, ratings, logger)
	errs = append(errs, err)

	c.lists, err = cache.New(g, cache.Spec{
		Name: "movie_lists", Holds: "a page of the catalogue", Bytes: pagesBytes, MaxAge: seconds, Fresh: moves, Away: lastKnown,
	}, cache.Options[listKey, *listPage, readView]{
		Fresh: readFromCatalogue[*listPage], Join: sameEpoch, Keep: keptFor, Timeout: cfg.MetadataTimeout, Source: metadata,
		Weigh: func(_ listKey, p *listPage) uint32 { return p.bytes() },
	})
	errs = append(errs, err)

	c.searches, err = cache.New(g, cache.Spec{
		Name: "movie_searches", Holds: "a page of hits", Bytes: pagesBytes, MaxAge: seconds, Fresh: moves + "; the index's version", Away: lastKnown,
	}, cache.Options[searchKey, *searchPage, readView]{
		Fresh: readFromIndex[*searchPage], Join: sameEpoch, Keep: keptFor, Timeout: cfg.MetadataTimeout, Source: metadata,
		Weigh: func(_ searchKey, p *searchPage) uint32 { return p.bytes() },
	})
	errs = append(errs, err)

	c.similars, err = cache.New(g, cache.Spec{
		Name: "movie_similars", Holds: "the films like one", Entries: similarsMost, MaxAge: seconds, Fresh: moves + "; the index's version", Away: lastKnown,
	}, cache.Options[string, []candidate, readView]{
		Fresh: readFromIndex[[]candidate], Join: sameEpoch, Keep: keptFor, Load: films.similar, Timeout: cfg.MetadataTimeout, Source: metadata,
	})
	errs = append(errs, err)

	charts := metadata
	charts.Patience, charts.Late = chartPatience(cfg), lateChart
	c.chartPages, err = cache.New(g, cache.Spec{
		Name: "movie_chart_pages", Holds: "a page of a chart", Bytes: pagesBytes, MaxAge: "as its window and its films",
		Fresh: moves + "; the window", Away: lastKnown + " without metadata, an error without rating",
	}, cache.Options[chartKey, *chartPage, readView]{
		Fresh: func(e *entry[*chartPage], now readView) bool { return e.Value.fresh(now, cfg.RatingTTL) },
		Join:  sameEpoch, Keep: keptFor, Timeout: chartPatience(cfg), Source: charts,
		Weigh: func(_ chartKey, p *chartPage) uint32 { return p.bytes() },
	})
	errs = append(errs, err)

	c.windows, err = cache.New(g, cache.Spec{
		Name: "movie_chart_windows", Holds: fmt.Sprintf("%d entries of a chart", windowMost), Entries: windowsKept,
		MaxAge: fmt.Sprint(cfg.RatingTTL), Fresh: fmt.Sprintf("a look every %v while it is read", windowLook), Away: "an error",
	}, cache.Options[windowKey, *window, readView]{
		// Readers who come during a refresh are served the numbers as what they are, rather than made to wait for a rating service
		// that has much to do.
		Fresh: func(e *entry[*window], now readView) bool {
			age := e.Value.age()
			return age.fresh(now.at, cfg.RatingTTL) || e.Refreshing() && age.servable(now.at, cfg.RatingTTL)
		},
		RefreshDue: func(e *entry[*window], now readView) bool { return e.Value.age().refreshDue(now.at, cfg.RatingTTL) },
		Stamp:      func() readView { return readView{at: g.Now()} },
		Keep:       keptFor, Timeout: 2 * cfg.ChartTimeout,
		Source: cache.Source{Patience: 2 * cfg.ChartTimeout, Late: lateChart},
	})
	errs = append(errs, err)

	c.filters, err = cache.New(g, cache.Spec{
		Name: "movie_filters", Holds: fmt.Sprintf("which of %d films match %d filters", filterFilms, filterCount), Entries: 1,
		MaxAge: seconds, Fresh: moves, Away: "charts as last known",
	}, cache.Options[struct{}, *filterCache, readView]{
		Fresh: func(e *entry[*filterCache], now readView) bool { return readFromCatalogue(e, now) && !e.Value.full() }, Join: sameEpoch,
	})
	errs = append(errs, err)

	c.picks, err = cache.New(g, cache.Spec{
		Name: "movie_chart_matches", Holds: "the entries of a window that match a filter, in order", Bytes: pagesBytes,
		MaxAge: "as `movie_filters`", Fresh: "another filter cache; a window of other records", Away: "charts as last known",
	}, cache.Options[picksKey, []pick, readView]{
		Fresh: func(e *entry[[]pick], now readView) bool { return e.Read == now },
		Join:  func(read, now readView) bool { return read == now },
		Weigh: func(_ picksKey, picks []pick) uint32 { return uint32(200 + 24*len(picks)) },
		Keep:  keptFor, Timeout: cfg.MetadataTimeout,
		Source: cache.Source{Patience: cfg.MetadataTimeout, Late: lateMetadata},
	})
	errs = append(errs, err)

	c.catalogueStats, err = newLatest(g, "movie_catalogue_stats", "numbers about the catalogue", cfg.MetadataTimeout, lateMetadata, films.stats)
	errs = append(errs, err)
	c.totals, err = newLatest(g, "movie_rating_totals", "numbers about all ratings", cfg.ChartTimeout, fromRating, ratings.totals)
	errs = append(errs, err)
	return c, errors.Join(errs...)
}

// newLatest returns a cache of the one value that load loads. The value has its own time, so that it is served at any age while load fails.
func newLatest[V any](
	g *cache.Group, name, holds string, timeout time.Duration, late func(error) error, load func(context.Context) (V, error),
) (*cache.Cache[struct{}, V, time.Time], error) {
	return cache.New(g, cache.Spec{
		Name: name, Holds: holds, Entries: 1, MaxAge: fmt.Sprint(statsTTL), Fresh: "its age", Away: "the last known, with its time",
	}, cache.Options[struct{}, V, time.Time]{
		Fresh:   func(e *cache.Entry[V, time.Time], now time.Time) bool { return now.Sub(e.Read) <= statsTTL },
		Load:    func(ctx context.Context, _ struct{}) (V, error) { return load(ctx) },
		Timeout: timeout,
		Source:  cache.Source{Patience: timeout, Late: late, Away: func(error) bool { return true }},
	})
}

func noMovie(id string) (*Movie, error) { return nil, fault.NotFound("no movie has the id %q", id) }
