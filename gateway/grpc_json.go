package gateway

import (
	"strconv"

	"google.golang.org/protobuf/reflect/protoreflect"

	moviev1 "movieexample.com/gen/movieexample/movie/v1"
)

// direct are the messages that are written without going through their plan field by field. There is one: nearly all bytes of
// nearly all answers are films, and written out by hand a film takes half the time. The same test that holds the plans to
// protobuf's mapping holds this, so a field that is added to the contract and not here fails it.
func direct(name protoreflect.FullName) func(o *jsonOut, m any) bool {
	if name != "movieexample.movie.v1.Movie" {
		return nil
	}
	return func(o *jsonOut, m any) bool {
		film, ok := m.(*moviev1.Movie)
		return ok && o.movie(film)
	}
}

func (o *jsonOut) movie(m *moviev1.Movie) bool {
	ok := o.member(`{"id":"`, m.GetId()) && o.member(`,"title":"`, m.GetTitle()) && o.member(`,"originalTitle":"`, m.GetOriginalTitle())
	if !ok {
		return false
	}
	if m.Year != nil {
		o.buf = strconv.AppendInt(append(o.buf, `,"year":`...), int64(m.GetYear()), 10)
	}
	ok = o.texts(`,"genres":[`, m.GetGenres()) && o.member(`,"director":"`, m.GetDirector()) && o.member(`,"description":"`, m.GetDescription())
	if !ok {
		return false
	}
	if ids := m.GetExternalIds(); ids != nil {
		ok = o.member(`,"externalIds":{"imdb":"`, ids.GetImdb()) && o.member(`,"tmdb":"`, ids.GetTmdb()) && o.member(`,"movielens":"`, ids.GetMovielens())
		if !ok {
			return false
		}
		o.buf = append(o.buf, '}')
	}
	if s := m.GetRatingSummary(); s != nil && !o.ratingSummary(s) {
		return false
	}
	ok = o.member(`,"ratingStatus":"`, m.GetRatingStatus()) && o.member(`,"etag":"`, m.GetEtag())
	if !ok {
		return false
	}
	if m.RuntimeMinutes != nil {
		o.buf = strconv.AppendInt(append(o.buf, `,"runtimeMinutes":`...), int64(m.GetRuntimeMinutes()), 10)
	}
	if !o.texts(`,"alternativeTitles":[`, m.GetAlternativeTitles()) || !o.member(`,"metadataStatus":"`, m.GetMetadataStatus()) {
		return false
	}
	o.buf = append(o.buf, '}')
	return true
}

func (o *jsonOut) ratingSummary(s *moviev1.RatingSummary) bool {
	o.buf = append(o.buf, `,"ratingSummary":{"mean":`...)
	o.number(s.GetMean())
	o.buf = strconv.AppendInt(append(o.buf, `,"votes":`...), int64(s.GetVotes()), 10)
	o.buf = append(o.buf, `,"weighted":`...)
	o.number(s.GetWeighted())
	o.buf = append(o.buf, `,"histogram":`...)
	o.ints(s.GetHistogram())
	if t := s.GetAsOfTime(); t != nil {
		o.buf = append(o.buf, `,"asOfTime":`...)
		start := len(o.buf)
		if !o.time(t) {
			return false
		}
		o.volatile = append(o.volatile, span{start, len(o.buf)})
		o.saw(t)
	}
	o.buf = append(o.buf, '}')
	return true
}

// texts writes a list of strings after what stands before the first.
func (o *jsonOut) texts(before string, list []string) bool {
	o.buf = append(o.buf, before...)
	for i, s := range list {
		before := `,"`
		if i == 0 {
			before = `"`
		}
		if !o.member(before, s) {
			return false
		}
	}
	o.buf = append(o.buf, ']')
	return true
}
