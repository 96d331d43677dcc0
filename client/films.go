package client

import (
	"context"
	"fmt"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"

	"golang.org/x/sync/errgroup"
	"google.golang.org/grpc/codes"
	"google.golang.org/protobuf/proto"

	metadatav1 "movieexample.com/gen/movieexample/metadata/v1"
	"movieexample.com/internal/fault"
)

const (
	// filmBatch is the most films that one call takes.
	filmBatch = 200
	// filmCalls is how many calls are in flight at a time: one is encoded and sent while another is written.
	filmCalls = 3
)

// FilmCounts counts the outcomes of films.
type FilmCounts struct {
	// Read is the number of films that were read, and is the sum of the others.
	Read      int64 `json:"read"`
	Created   int64 `json:"created"`
	Updated   int64 `json:"updated"`
	Unchanged int64 `json:"unchanged"`
	Refused   int64 `json:"refused"`
}

// filmRules say how films are written. The zero value fills in what the catalogue lacks, and lets a film do without an external
// id that another film has.
type filmRules struct {
	// replace: a film that is there is replaced whole.
	replace bool
	// overwrite are the fields that replace stored values; only without replace.
	overwrite []string
	// contested says what to do with a film whose external id another film of the catalogue has.
	contested contestRule
	// inOrder: films are written in the order in which they are added, as they must be if one may come twice.
	inOrder bool
}

// contestRule says what to do with a contested external id.
type contestRule uint8

const (
	// goWithout: the film goes in without the id. But where its IMDb id is not known, and its own id is made of MovieLens's therefore,
	// it is merged with the film that has its MovieLens id, or else the contested one.
	goWithout contestRule = iota
	refuse                // the film does not go in
	meet                  // the IMDb id identifies the film: it is merged with the other film
)

// filmRow is a film to write, and the row it came from.
type filmRow struct {
	movie   *metadatav1.Movie
	movieID int64  // at MovieLens; 0 if it is not from there
	key     string // what the file calls it, if it is not from MovieLens
	line    int
	// left are the fields that the file has and that cannot be read, in the contract's spelling. A film that is replaced keeps them.
	left []string
	// reasons say why, and what else the film goes without: to be told if it goes in.
	reasons []string

	// say reports a row without a film, at its place in the order.
	say func()
}

// filmWriter fills films in, in batches, several at a time. It reports about films in the order in which
// they were added, whichever call is answered first: a batch waits for its turn, and keeps its place among the calls in flight
// meanwhile, so at most filmCalls batches are held.
type filmWriter struct {
	c      *Client
	ctx    context.Context
	cancel context.CancelFunc
	rules  filmRules
	group  errgroup.Group
	batch  []filmRow
	films  int             // in batch
	turn   <-chan struct{} // closed when the last batch has reported its films

	// refused and partial are called for films that did not go in, or not completely, one call at a time.
	refused, partial func(row filmRow, reason string)
	// met, unless nil, is called when a film is merged with the one of that id. Calls may be concurrent, and come before refused.
	met func(row filmRow, id string)

	written atomic.Int64
	mu      sync.Mutex
	counts  FilmCounts
	err     error // the first; those after it come from ctx
}

func (c *Client) newFilmWriter(ctx context.Context, rules filmRules, refused, partial func(filmRow, string)) *filmWriter {
	first := make(chan struct{})
	close(first)
	w := &filmWriter{c: c, rules: rules, refused: refused, partial: partial, turn: first}
	w.ctx, w.cancel = context.WithCancel(ctx)
	w.group.SetLimit(filmCalls)
	if rules.inOrder {
		w.group.SetLimit(1)
	}
	return w
}

// add takes a film. The error is that an earlier film's call failed, or the context's.
func (w *filmWriter) add(row filmRow) error {
	w.films++
	w.put(row)
	return w.ctx.Err()
}

// say calls f between the reports about the films added before and after it.
func (w *filmWriter) say(f func()) { w.put(filmRow{say: f}) }

func (w *filmWriter) put(row filmRow) {
	w.batch = append(w.batch, row)
	if w.films == filmBatch || len(w.batch) == 2*filmBatch {
		w.send()
	}
}

func (w *filmWriter) send() {
	if len(w.batch) == 0 {
		return
	}
	batch, turn, done := w.batch, w.turn, make(chan struct{})
	w.batch, w.films, w.turn = make([]filmRow, 0, filmBatch), 0, done
	w.group.Go(func() error {
		defer close(done)
		told, err := w.write(batch)
		if err != nil {
			w.fail(err) // before the wait: it ends the calls that are waited for
		}
		<-turn
		for _, tell := range told {
			tell()
		}
		return nil
	})
}

func (w *filmWriter) fail(err error) {
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.err == nil {
		w.err = err
	}
	w.cancel()
}

// finish sends the last batch, waits for all calls and returns the counts and the first error.
func (w *filmWriter) finish() (FilmCounts, error) {
	defer w.cancel()
	if w.ctx.Err() == nil {
		w.send()
	}
	_ = w.group.Wait() // the error is in w.err
	w.mu.Lock()
	defer w.mu.Unlock()
	c := w.counts
	c.Read = c.Created + c.Updated + c.Unchanged + c.Refused
	return c, w.err
}

// write writes one batch and returns its reports, in its order.
//
// Under goWithout, an external id that belongs to another film does not keep a film out: a user may have created the film under
// their own id, and TMDb has been known to list a film twice and other catalogues to link both to one entry. The film's own
// id is not in doubt, and its ratings need it. So it goes in without the ids that are contested.
//
// An optional field that the service refuses is left out.
//
// Under meet, the film is what its IMDb id says, and has no ratings yet: what is known about it goes to the film that
// has the id, under whatever id it was created.
func (w *filmWriter) write(batch []filmRow) (told []func(), err error) {
	say := make([]func(), len(batch))
	odd := make([]oddity, len(batch))
	var left []int // the places in batch of the films that are not settled
	for i, row := range batch {
		if say[i] = row.say; row.movie != nil {
			left = append(left, i)
			odd[i].reasons, odd[i].nameless = row.reasons, row.movie.GetExternalIds().GetImdb() == ""
			if batch[i].movie, err = w.keep(row.movie, row.left); err != nil {
				return nil, err
			}
		}
	}
	for len(left) > 0 && err == nil {
		var results []*metadatav1.BatchPutMoviesResponse_Result
		if results, err = w.call(batch, left); err != nil {
			break
		}
		var again []int
		for k, i := range left {
			row, retry := &batch[i], false
			if taken, ok := contestOf(results[k], row.movie); ok && w.rules.contested != refuse {
				retry = true
				err = w.settle(&taken, row, &odd[i])
			} else if fields := refusedFields(results[k]); fields != nil && !odd[i].without {
				retry, odd[i].without = true, true
				odd[i].reasons = append(odd[i].reasons, results[k].GetReason()+"; the film went in without that")
				row.movie, err = w.keep(withoutFields(row.movie, fields), fields)
			}
			if err != nil {
				break
			}
			if retry {
				again = append(again, i)
			} else {
				say[i] = w.count(*row, results[k], odd[i])
			}
		}
		left = again // each lacks one more of three ids, has met another film or lacks what was refused, which it does once: this ends
	}
	for _, f := range say {
		if f != nil {
			told = append(told, f)
		}
	}
	return told, err
}

// oddity is what to report about a film that goes in with changes.
type oddity struct {
	contests []contest
	nameless bool // it came without an IMDb id
	met      bool // it was merged with another film
	without  bool // it was refused, and is tried again without the fields that it was refused for
	reasons  []string
}

// settle changes the row's film after a contest.
func (w *filmWriter) settle(c *contest, row *filmRow, odd *oddity) error {
	id, err := w.owner(c, row.movie, odd.nameless)
	if err != nil {
		return err
	}
	switch {
	case id == "" || id == row.movie.GetId() || odd.met:
		row.movie = c.without(row.movie)
	default:
		c.met, odd.met = true, true
		row.movie = proto.CloneOf(row.movie)
		row.movie.Id = id
		if w.met != nil {
			w.met(*row, id)
		}
	}
	odd.contests = append(odd.contests, *c)
	return nil
}

// owner is the id of the film that a film with a contested id is; empty if it is none of the catalogue's.
func (w *filmWriter) owner(c *contest, m *metadatav1.Movie, nameless bool) (string, error) {
	var requests []*metadatav1.LookupMovieRequest
	switch ids := m.GetExternalIds(); {
	case w.rules.contested == meet && c.source == "imdb":
		requests = append(requests, &metadatav1.LookupMovieRequest{ExternalId: &metadatav1.LookupMovieRequest_ImdbId{ImdbId: c.id}})
	case w.rules.contested == goWithout && nameless:
		if ids.GetMovielens() != "" {
			requests = append(requests, &metadatav1.LookupMovieRequest{ExternalId: &metadatav1.LookupMovieRequest_MovielensId{MovielensId: ids.GetMovielens()}})
		}
		if c.source == "tmdb" {
			requests = append(requests, &metadatav1.LookupMovieRequest{ExternalId: &metadatav1.LookupMovieRequest_TmdbId{TmdbId: c.id}})
		}
	}
	for _, req := range requests {
		resp, err := w.c.metadata.LookupMovie(w.ctx, req)
		if err == nil {
			return resp.GetMovie().GetId(), nil
		}
		if fault.KindOf(err) != fault.KindNotFound { // it may have had the id a moment ago
			return "", w.c.explain(Metadata, "find the film with an external id", err)
		}
	}
	return "", nil
}

// call writes the films in these places of the batch, and returns as many results.
func (w *filmWriter) call(batch []filmRow, places []int) ([]*metadatav1.BatchPutMoviesResponse_Result, error) {
	req := &metadatav1.BatchPutMoviesRequest{Mode: metadatav1.BatchPutMode_BATCH_PUT_MODE_FILL, Overwrite: w.rules.overwrite}
	if w.rules.replace {
		req.Mode = metadatav1.BatchPutMode_BATCH_PUT_MODE_REPLACE
	}
	for _, i := range places {
		req.Movies = append(req.Movies, batch[i].movie)
	}
	resp, err := w.c.metadata.BatchPutMovies(w.ctx, req)
	if err != nil {
		return nil, w.c.explain(Metadata, "write films", err)
	}
	results := resp.GetResults()
	if len(results) != len(places) {
		return nil, fmt.Errorf("write films: %d films were sent and %d results came back", len(places), len(results))
	}
	for i, r := range results {
		// The place in the batch means nothing to a reader.
		r.Reason = strings.ReplaceAll(r.GetReason(), fmt.Sprintf("movies[%d].", i), "")
	}
	return results, nil
}

// count counts a result and returns how to report it, or nil.
func (w *filmWriter) count(row filmRow, r *metadatav1.BatchPutMoviesResponse_Result, odd oddity) (say func()) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.written.Add(1)
	switch r.GetOutcome() {
	case metadatav1.BatchPutMoviesResponse_OUTCOME_CREATED:
		w.counts.Created++
	case metadatav1.BatchPutMoviesResponse_OUTCOME_UPDATED:
		w.counts.Updated++
	case metadatav1.BatchPutMoviesResponse_OUTCOME_UNCHANGED:
		w.counts.Unchanged++
	default:
		w.counts.Refused++
		return func() { w.refused(row, r.GetReason()) }
	}
	if len(odd.contests) > 0 {
		odd.reasons = append(odd.reasons, contestText(odd.contests))
	}
	if len(odd.reasons) == 0 {
		return nil
	}
	return func() {
		for _, reason := range odd.reasons {
			w.partial(row, reason)
		}
	}
}

var (
	// quoted is a text as reasons show it.
	quoted = regexp.MustCompile(`"(?:[^"\\]|\\.)*"`)
	// named is the field that a part of a reason is about.
	named = regexp.MustCompile(`^([a-z_]+(?:\.[a-z]+)?(?:\[[0-9]+\])?): `)
)

// refusedFields are the optional fields that the service refuses a film for, as it spells them ("year", "genres[2]",
// "external_ids.imdb"); nil if the film was taken, or is refused for something that it cannot go without.
func refusedFields(r *metadatav1.BatchPutMoviesResponse_Result) []string {
	if codes.Code(r.GetCode()) != codes.InvalidArgument {
		return nil
	}
	var fields []string
	// A reason has a part for each field. The given value is in quotes, whatever it contains.
	for part := range strings.SplitSeq(quoted.ReplaceAllString(r.GetReason(), `""`), "; ") {
		found := named.FindStringSubmatch(part)
		if found == nil {
			continue // the part before continues
		}
		field, _, _ := strings.Cut(found[1], "[")
		if !slices.Contains(optionalFields(), field) {
			return nil
		}
		fields = append(fields, found[1])
	}
	return fields
}

// optionalFields are what a film can go without, in the contract's spelling.
func optionalFields() []string {
	return []string{
		"original_title", "alternative_titles", "year", "genres", "director", "description", "runtime_minutes",
		"external_ids.imdb", "external_ids.tmdb", "external_ids.movielens",
	}
}

// withoutFields returns the film without those fields, and without those elements of lists.
func withoutFields(m *metadatav1.Movie, fields []string) *metadatav1.Movie {
	m = proto.CloneOf(m)
	for _, name := range slices.Backward(fields) { // the later elements of a list first
		field, element, one := strings.Cut(strings.TrimSuffix(name, "]"), "[")
		if !one {
			copyField(m, &metadatav1.Movie{}, field)
			continue
		}
		list := &m.Genres
		if field == "alternative_titles" {
			list = &m.AlternativeTitles
		}
		if i, err := strconv.Atoi(element); err == nil && i < len(*list) {
			*list = slices.Delete(*list, i, i+1)
		}
	}
	return m
}

// copyField gives a field of to the value that it has in from.
func copyField(to, from *metadatav1.Movie, field string) {
	if to.ExternalIds == nil && strings.HasPrefix(field, "external_ids.") {
		to.ExternalIds = &metadatav1.ExternalIds{}
	}
	switch field {
	case "original_title":
		to.OriginalTitle = from.GetOriginalTitle()
	case "alternative_titles":
		to.AlternativeTitles = from.GetAlternativeTitles()
	case "year":
		to.Year = from.Year
	case "genres":
		to.Genres = from.GetGenres()
	case "director":
		to.Director = from.GetDirector()
	case "description":
		to.Description = from.GetDescription()
	case "runtime_minutes":
		to.RuntimeMinutes = from.RuntimeMinutes
	case "external_ids.imdb":
		to.ExternalIds.Imdb = from.GetExternalIds().GetImdb()
	case "external_ids.tmdb":
		to.ExternalIds.Tmdb = from.GetExternalIds().GetTmdb()
	case "external_ids.movielens":
		to.ExternalIds.Movielens = from.GetExternalIds().GetMovielens()
	}
}

// keep gives a film that replaces the stored one what that one has in these fields: a field that cannot be read removes nothing.
func (w *filmWriter) keep(m *metadatav1.Movie, fields []string) (*metadatav1.Movie, error) {
	if !w.rules.replace || len(fields) == 0 {
		return m, nil
	}
	resp, err := w.c.metadata.GetMovie(w.ctx, &metadatav1.GetMovieRequest{Id: m.GetId()})
	switch kind := fault.KindOf(err); {
	case err == nil:
	case kind == fault.KindNotFound || kind == fault.KindInvalid: // it is new, or will be refused
		return m, nil
	default:
		return nil, w.c.explain(Metadata, "read the film that is to be replaced", err)
	}
	m = proto.CloneOf(m)
	for _, field := range fields {
		copyField(m, resp.GetMovie(), field)
	}
	return m, nil
}

// contest is an external id of a film that another film of the catalogue has.
type contest struct {
	source string // "imdb", "tmdb" or "movielens"
	id     string
	owner  string // the other film's id, in quotes
	met    bool   // the film was merged with the other one
}

// contested matches the reason that the metadata service gives. A refusal with another reason stays a refusal.
var contested = regexp.MustCompile(`^external_ids\.(imdb|tmdb|movielens): .* belongs to the movie ("(?:[^"\\]|\\.)*")`)

// contestOf reports whether the film was refused because of an external id that it could go without.
func contestOf(r *metadatav1.BatchPutMoviesResponse_Result, m *metadatav1.Movie) (contest, bool) {
	found := contested.FindStringSubmatch(r.GetReason())
	if codes.Code(r.GetCode()) != codes.AlreadyExists || found == nil {
		return contest{}, false
	}
	c := contest{source: found[1], owner: found[2]}
	c.id = *c.field(m.GetExternalIds())
	return c, c.id != ""
}

// field is the field of the id.
func (c contest) field(ids *metadatav1.ExternalIds) *string {
	switch {
	case ids == nil:
		return new(string)
	case c.source == "imdb":
		return &ids.Imdb
	case c.source == "tmdb":
		return &ids.Tmdb
	}
	return &ids.Movielens
}

func (c contest) without(m *metadatav1.Movie) *metadatav1.Movie {
	m = proto.CloneOf(m)
	*c.field(m.ExternalIds) = ""
	return m
}

// contestText is one or more contests in a sentence.
func contestText(contests []contest) string {
	var parts []string
	for _, c := range contests {
		name := map[string]string{"imdb": "IMDb", "tmdb": "TMDb", "movielens": "MovieLens"}[c.source]
		if c.met {
			return fmt.Sprintf("the film %s has the %s id %s; the two were merged", c.owner, name, c.id)
		}
		parts = append(parts, fmt.Sprintf("%s id %s belongs to the film %s", name, c.id, c.owner))
	}
	without := "it"
	if len(parts) > 1 {
		without = "them"
	}
	return strings.Join(parts, ", ") + "; the film went in without " + without
}
