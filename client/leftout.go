package client

import (
	"regexp"
	"slices"
	"strconv"
	"strings"

	"google.golang.org/grpc/codes"
	"google.golang.org/protobuf/proto"

	metadatav1 "movieexample.com/gen/movieexample/metadata/v1"
	"movieexample.com/internal/fault"
)

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
	// A reason has a part for each field. What was given stands in quotes, whatever is in it.
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
