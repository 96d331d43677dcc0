package metadata_test

import (
	"strings"
	"testing"

	"google.golang.org/grpc/codes"
	"google.golang.org/protobuf/proto"

	"movieexample.com/gen/book"
	metadatav1 "movieexample.com/gen/movieexample/metadata/v1"
)

func TestBookRoundTrip(t *testing.T) {
	c := newCatalogue(t)
	want := &book.Metadata{Id: "1", Title: "The Movie 2", Description: "Sequel of the legendary The Movie", Director: "Foo Bars"}
	if _, err := c.book.PutMetadata(t.Context(), &book.PutMetadataRequest{Metadata: want}); err != nil {
		t.Fatal(err)
	}
	got, err := c.book.GetMetadata(t.Context(), &book.GetMetadataRequest{MovieId: "1"})
	if err != nil {
		t.Fatal(err)
	}
	if !proto.Equal(got.GetMetadata(), want) {
		t.Errorf("got %v, want %v", got.GetMetadata(), want)
	}
	// Both APIs show the same film.
	wantMovie(t, c.get(t, "1"), &metadatav1.Movie{Id: "1", Title: want.GetTitle(), Description: want.GetDescription(), Director: want.GetDirector()})
}

func TestBookPutKeepsWhatItDoesNotKnow(t *testing.T) {
	c := newCatalogue(t)
	before := c.put(t, matrix())
	put := func(m *book.Metadata) {
		t.Helper()
		if _, err := c.book.PutMetadata(t.Context(), &book.PutMetadataRequest{Metadata: m}); err != nil {
			t.Fatal(err)
		}
	}
	put(&book.Metadata{Id: "tt0133093", Title: "Matrix I"})
	want := with(matrix(), func(m *metadatav1.Movie) { m.Title, m.Description, m.Director = "Matrix I", "", "" })
	got := c.get(t, "tt0133093")
	wantMovie(t, got, want)
	if got.GetEtag() == before.GetEtag() {
		t.Error("the etag did not change")
	}

	put(&book.Metadata{Id: "tt0133093", Title: "Matrix I"})
	if again := c.get(t, "tt0133093"); !proto.Equal(again, got) {
		t.Errorf("the same put changed %v to %v", got, again)
	}

	// A title that becomes equal to the original title clears that.
	put(&book.Metadata{Id: "tt0133093", Title: "The Matrix"})
	wantMovie(t, c.get(t, "tt0133093"), with(want, func(m *metadatav1.Movie) { m.Title, m.OriginalTitle = "The Matrix", "" }))
}

func TestBookErrors(t *testing.T) {
	c := newCatalogue(t)
	_, err := c.book.GetMetadata(t.Context(), &book.GetMetadataRequest{})
	wantError(t, err, codes.InvalidArgument, "movie_id: is required")
	_, err = c.book.GetMetadata(t.Context(), &book.GetMetadataRequest{MovieId: "none"})
	wantError(t, err, codes.NotFound, `"none"`)
	_, err = c.book.PutMetadata(t.Context(), &book.PutMetadataRequest{})
	wantError(t, err, codes.InvalidArgument, "metadata: is required")
	_, err = c.book.PutMetadata(t.Context(), &book.PutMetadataRequest{Metadata: &book.Metadata{Title: "A"}})
	wantError(t, err, codes.InvalidArgument, "metadata.id: is required")
	_, err = c.book.PutMetadata(t.Context(), &book.PutMetadataRequest{Metadata: &book.Metadata{Id: "a"}})
	wantError(t, err, codes.InvalidArgument, "metadata.title: is required")
	_, err = c.book.PutMetadata(t.Context(), &book.PutMetadataRequest{Metadata: &book.Metadata{Id: "a", Title: "A", Director: strings.Repeat("d", 501)}})
	wantError(t, err, codes.InvalidArgument, "metadata.director", "500")
}
