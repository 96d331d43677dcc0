package pages

import (
	"context"
	"fmt"
	"strconv"
	"strings"
	"sync"
	"time"
)

const (
	// A sitemap may have 50,000 addresses (https://www.sitemaps.org/protocol.html). A page is meant to have fewer, so that
	// films that are added after the pages were divided have room, and so that it is made well within a request's time.
	sitemapFilms = 10_000
	sitemapMost  = 50_000
	// A page is read again after this time, and caches may not keep it longer, so new films appear within it.
	sitemapFresh = 30 * time.Second
	// Pages are divided again after this time, well before the tokens that they begin with expire, or when this many films
	// were added or deleted. Until then the fullest page may have that many films more.
	sitemapAge   = 24 * time.Hour
	sitemapDrift = 10_000
	// sitemapsKept bounds the pages whose ids are kept: some 4 MB.
	sitemapsKept = 16
	// countUnknown is the number of films if it could not be read.
	countUnknown = -1
)

// sitemap has the division of the films into pages that holds.
type sitemap struct {
	mu    sync.Mutex
	holds *division
}

// division knows where the pages begin: the token of the list of films by title, and the first films after it. A token
// names a place in the order of titles and stays valid while films are added and deleted, so page n is read from its own
// beginning to the next page's, and a new film is in the page that its title belongs to. Where pages begin is found by
// a request for a page beyond those known; a request that times out leaves what it found for the next one.
type division struct {
	since time.Time
	films int // when it was made, or countUnknown

	mu       sync.Mutex
	starts   []sitemapStart // of page 1, 2, …; page 1 has no token
	ended    bool           // the last start is the last page's
	outgrown bool           // a page has more films than it may
	kept     map[int]sitemapPart
}

// sitemapStart is where a page begins. first are the first films from there on: the page before ends where one of them
// comes, and one may be deleted, but hardly all.
type sitemapStart struct {
	token string
	first map[string]bool
}

// sitemapPart is the films of a page as they were read.
type sitemapPart struct {
	ids   []string
	until time.Time
}

// sitemapNumber reads the path of a sitemap's page.
func sitemapNumber(path string) (int, bool) {
	text, ok := strings.CutPrefix(path, "/sitemap-")
	if !ok {
		return 0, false
	}
	if text, ok = strings.CutSuffix(text, ".xml"); !ok || !digits(text) || text[0] == '0' || len(text) > 7 {
		return 0, false
	}
	n, err := strconv.Atoi(text)
	return n, err == nil
}

// pagesFor is how many pages that many films need at most.
func pagesFor(films int) int { return max(1, (films+sitemapFilms-1)/sitemapFilms) }

// division returns the division that holds: the one there is, or a new one where that does not fit that many films any
// more, or is too old.
func (s *sitemap) division(films int, now time.Time) *division {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.holds == nil || s.holds.isOver(films, now) {
		s.holds = &division{since: now, films: films, starts: []sitemapStart{{}}, kept: make(map[int]sitemapPart)}
	}
	return s.holds
}

func (d *division) isOver(films int, now time.Time) bool {
	if films != countUnknown && (d.films == countUnknown || max(films-d.films, d.films-films) >= sitemapDrift) || now.Sub(d.since) > sitemapAge {
		return true
	}
	d.mu.Lock()
	defer d.mu.Unlock()
	return d.outgrown
}

// pages returns how many pages are known, and whether they are all.
func (d *division) pages() (n int, all bool) {
	d.mu.Lock()
	defer d.mu.Unlock()
	return len(d.starts), d.ended
}

// start returns where page n begins, and the first films of the page after it, as far as that is known. If page n is
// not known yet, it returns the last known page.
func (d *division) start(n int) (from sitemapStart, next map[string]bool, number int, ended bool) {
	d.mu.Lock()
	defer d.mu.Unlock()
	number = min(n, len(d.starts))
	if number < len(d.starts) {
		next = d.starts[number].first
	}
	return d.starts[number-1], next, number, d.ended
}

// found notes where page number begins, or that there is none.
func (d *division) found(number int, at sitemapStart, end bool) {
	d.mu.Lock()
	defer d.mu.Unlock()
	switch {
	case number != len(d.starts)+1 || d.ended:
	case end:
		d.ended = true
	default:
		d.starts = append(d.starts, at)
	}
}

// keep keeps the films of page n, and those of as many others as it may.
func (d *division) keep(n int, part sitemapPart) {
	d.mu.Lock()
	defer d.mu.Unlock()
	if len(part.ids) >= sitemapMost {
		d.outgrown = true
	}
	if len(d.kept) >= sitemapsKept {
		clear(d.kept)
	}
	d.kept[n] = part
}

func (d *division) known(n int, now time.Time) (ids []string, ok bool) {
	d.mu.Lock()
	defer d.mu.Unlock()
	part, ok := d.kept[n]
	return part.ids, ok && now.Before(part.until)
}

// sitemapIDs returns the films of page n of a division in the order of titles; none if there is no such page.
func (p *Pages) sitemapIDs(ctx context.Context, d *division, n int) ([]string, error) {
	for {
		from, next, number, ended := d.start(n)
		if ended && number < n {
			return nil, nil
		}
		if ids, ok := d.known(n, p.now()); ok {
			return ids, nil
		}
		last := next == nil // as far as is known
		read := p.now()
		var ids []string
		token := from.token
		for {
			page, more, err := p.movies.ids(ctx, token)
			if err != nil {
				return nil, fmt.Errorf("read the films of sitemap %d: %w", number, err)
			}
			atNext := false
			for _, id := range page {
				if atNext = next[id]; atNext {
					break
				}
				ids = append(ids, id)
			}
			token = more
			if atNext || token == "" || len(ids) >= sitemapMost {
				break
			}
			if last && !ended && len(ids) >= sitemapFilms {
				break
			}
		}
		if last && !ended {
			if err := p.sitemapNext(ctx, d, number, token); err != nil {
				return nil, err
			}
		}
		ids = ids[:min(len(ids), sitemapMost)]
		d.keep(number, sitemapPart{ids: ids, until: read.Add(sitemapFresh)})
		if number == n {
			return ids, nil
		}
	}
}

// sitemapNext notes what comes behind the page of that number: the films from token on, or nothing.
func (p *Pages) sitemapNext(ctx context.Context, d *division, number int, token string) error {
	if token == "" {
		d.found(number+1, sitemapStart{}, true)
		return nil
	}
	first, _, err := p.movies.ids(ctx, token)
	if err != nil {
		return fmt.Errorf("read the films of sitemap %d: %w", number+1, err)
	}
	at := sitemapStart{token: token, first: make(map[string]bool, len(first))}
	for _, id := range first {
		at.first[id] = true
	}
	d.found(number+1, at, len(first) == 0)
	return nil
}
