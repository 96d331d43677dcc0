package client

import (
	"fmt"
	"regexp"
	"strings"

	"google.golang.org/grpc/codes"
	"google.golang.org/protobuf/proto"

	metadatav1 "movieexample.com/gen/movieexample/metadata/v1"
)

// contest is an external id of a film that another film of the catalogue has.
type contest struct {
	source string // "imdb", "tmdb" or "movielens"
	id     string
	owner  string // the other film's id, in quotes
	met    bool   // the film became one with the other one
}

// contested is how the metadata service says it. A refusal in other words stays a refusal.
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

// field is where the id stands.
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
			return fmt.Sprintf("the film %s has the %s id %s; the two became one", c.owner, name, c.id)
		}
		parts = append(parts, fmt.Sprintf("%s id %s belongs to the film %s", name, c.id, c.owner))
	}
	without := "it"
	if len(parts) > 1 {
		without = "them"
	}
	return strings.Join(parts, ", ") + "; the film went in without " + without
}
