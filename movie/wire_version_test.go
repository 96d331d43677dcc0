package movie_test

import (
	"context"
	"testing"

	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"

	metadatav1 "movieexample.com/gen/movieexample/metadata/v1"
	"movieexample.com/movie"
)

// fakeVersion is the version of the fake catalogue. Until it is set, the fake is a service without versions.
type fakeVersion struct {
	told          bool
	movies, votes int64
	lag           int64 // how many writes of films the index has not seen
	before        hook  // before it is returned
}

func (f *fakeMetadata) GetCatalogueVersion(ctx context.Context, _ *metadatav1.GetCatalogueVersionRequest) (*metadatav1.GetCatalogueVersionResponse, error) {
	if err := f.version.before.run(ctx, "GetCatalogueVersion"); err != nil {
		return nil, err
	}
	f.mu.Lock()
	defer f.mu.Unlock()
	v := &f.version
	if !v.told {
		return nil, status.Error(codes.Unimplemented, "unknown method GetCatalogueVersion")
	}
	return &metadatav1.GetCatalogueVersionResponse{
		Movies: v.movies, Votes: v.votes, IndexedMovies: v.movies - v.lag, IndexedVotes: v.votes,
	}, nil
}

// setVersion changes the fake's version.
func (f *fakeMetadata) setVersion(change func(v *fakeVersion)) {
	f.mu.Lock()
	defer f.mu.Unlock()
	change(&f.version)
}

// newVersionedWorld is a world whose metadata service tells its version.
func newVersionedWorld(t testing.TB, cfg movie.Config) *world {
	t.Helper()
	w := newWorld(t, cfg)
	w.metadata.setVersion(func(v *fakeVersion) { v.told = true })
	return w
}

// takeVersions returns how often the version was requested since the last call.
func (c *counted) takeVersions() int {
	c.mu.Lock()
	defer c.mu.Unlock()
	n := c.versions
	c.versions = 0
	return n
}
