package verify

import (
	"google.golang.org/grpc/codes"

	"movieexample.com/gen/book"
)

// bookScenarios are about the API that clients of the old teaching system speak.
func bookScenarios() []Scenario {
	all := []Part{Metadata, Rating}
	return []Scenario{
		{Area: AreaBook, Door: Metadata, Promise: "A film that was put through the book API is read back whole through both APIs.", ask: bookFilm},
		{Area: AreaBook, Door: Metadata, Promise: "A film that is put through the book API keeps what that API lacks: year, genres, external ids.", ask: bookKeeps},
		{Area: AreaBook, Door: Metadata, Promise: "Empty ids, a film without a title and an unknown film are refused as documented.", ask: bookBadFilm},
		{Area: AreaBook, Door: Rating, Promise: "The aggregated rating is the mean, one rating per user.", ask: bookRating},
		{Area: AreaBook, Door: Rating, Promise: "Ratings beyond 1 to 10, empty ids and records without ratings are refused as documented, by name.", ask: bookBadRating},
		{Area: AreaBook, Door: Movie, Needs: all, Promise: "The details of a film are its metadata and its mean within 2 s.", ask: bookDetails},
		{Area: AreaBook, Door: Movie, Needs: []Part{Metadata}, Promise: "The details of a film without ratings have rating 0.", ask: bookUnrated},
		{Area: AreaBook, Door: Movie, Promise: "Details of an unknown film are NOT_FOUND, and of an empty id INVALID_ARGUMENT.", ask: bookBadDetails},
	}
}

func (t *trial) bookPut(m *book.Metadata) {
	t.forgetFilm(m.GetId())
	ask(t, t.at(Metadata).bookMetadata().PutMetadata, &book.PutMetadataRequest{Metadata: m})
}

func (t *trial) bookFilm(title string) *book.Metadata {
	return &book.Metadata{Id: t.name("film"), Title: title, Description: "About " + word(6) + ".", Director: "Verify Director"}
}

func bookFilm(t *trial) {
	m := t.bookFilm(word(9))
	t.bookPut(m)
	for _, d := range t.sys.reachable(Metadata) {
		got := ask(t, d.bookMetadata().GetMetadata, &book.GetMetadataRequest{MovieId: m.GetId()}).GetMetadata()
		same(t, "the film", got.String(), m.String())
		own := t.getFilm(d, m.GetId())
		same(t, "the title in the own API", own.GetTitle(), m.GetTitle())
		same(t, "the director in the own API", own.GetDirector(), m.GetDirector())
	}
}

func bookKeeps(t *trial) {
	m := t.film(word(9))
	t.put(m)
	t.bookPut(&book.Metadata{Id: m.GetId(), Title: word(9), Description: "New.", Director: "Another Director"})
	got := t.getFilm(t.door, m.GetId())
	same(t, "the director", got.GetDirector(), "Another Director")
	same(t, "the year", got.GetYear(), m.GetYear())
	same(t, "the genres", got.GetGenres(), m.GetGenres())
}

func bookBadFilm(t *trial) {
	d := t.door.bookMetadata()
	refused(t, codes.InvalidArgument, d.GetMetadata, &book.GetMetadataRequest{})
	refused(t, codes.InvalidArgument, d.PutMetadata, &book.PutMetadataRequest{})
	refused(t, codes.InvalidArgument, d.PutMetadata, &book.PutMetadataRequest{Metadata: &book.Metadata{Id: t.name("film")}}, "title")
	refused(t, codes.NotFound, d.GetMetadata, &book.GetMetadataRequest{MovieId: t.name("none")})
}

// bookRate rates by the old API and has the rating taken back afterwards.
func (t *trial) bookRate(record, user string, value int32) {
	t.forgetRating("movie", record, user)
	ask(t, t.at(Rating).bookRatings().PutRating, &book.PutRatingRequest{UserId: user, RecordId: record, RecordType: "movie", RatingValue: value})
}

func bookRating(t *trial) {
	record, user := t.name("record"), t.name("user")
	mean := func(want float64) {
		for _, d := range t.sys.reachable(Rating) {
			got := ask(t, d.bookRatings().GetAggregatedRating, &book.GetAggregatedRatingRequest{RecordId: record, RecordType: "movie"})
			t.near("rating_value", got.GetRatingValue(), want, 1e-9)
		}
	}
	t.bookRate(record, user, 10)
	mean(10)
	t.bookRate(record, user, 4)
	mean(4)
	t.rate("movie", record, t.name("user"), 7) // by the own API
	mean(5.5)
	t.summed("movie", record, 4, 7)
}

func bookBadRating(t *trial) {
	record, user := t.name("record"), t.name("user")
	d := t.door.bookRatings()
	for _, value := range []int32{0, 11, -1} {
		refused(t, codes.InvalidArgument, d.PutRating, &book.PutRatingRequest{UserId: user, RecordId: record, RecordType: "movie", RatingValue: value}, "value", "10")
	}
	refused(t, codes.InvalidArgument, d.PutRating, &book.PutRatingRequest{RecordId: record, RecordType: "movie", RatingValue: 5}, "user")
	refused(t, codes.InvalidArgument, d.PutRating, &book.PutRatingRequest{UserId: user, RecordType: "movie", RatingValue: 5}, "record")
	refused(t, codes.InvalidArgument, d.GetAggregatedRating, &book.GetAggregatedRatingRequest{RecordId: record}, "type")
	refused(t, codes.NotFound, d.GetAggregatedRating, &book.GetAggregatedRatingRequest{RecordId: record, RecordType: "movie"})
}

func bookDetails(t *trial) {
	m := t.bookFilm(word(9))
	t.bookPut(m)
	t.bookRate(m.GetId(), t.name("user"), 9)
	t.bookRate(m.GetId(), t.name("user"), 4)
	t.within(visible, func() {
		got := ask(t, t.door.bookMovies().GetMovieDetails, &book.GetMovieDetailsRequest{MovieId: m.GetId()}).GetMovieDetails()
		t.near("rating", got.GetRating(), 6.5, 1e-9)
		same(t, "the metadata", got.GetMetadata().String(), m.String())
	})
}

func bookUnrated(t *trial) {
	m := t.bookFilm(word(9))
	t.bookPut(m)
	t.within(visible, func() {
		got := ask(t, t.door.bookMovies().GetMovieDetails, &book.GetMovieDetailsRequest{MovieId: m.GetId()}).GetMovieDetails()
		t.near("rating", got.GetRating(), 0, 0)
		same(t, "the title", got.GetMetadata().GetTitle(), m.GetTitle())
	})
}

func bookBadDetails(t *trial) {
	refused(t, codes.NotFound, t.door.bookMovies().GetMovieDetails, &book.GetMovieDetailsRequest{MovieId: t.name("none")})
	refused(t, codes.InvalidArgument, t.door.bookMovies().GetMovieDetails, &book.GetMovieDetailsRequest{})
}
