package verify

import (
	"context"
	"strings"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/encoding/prototext"
	"google.golang.org/protobuf/proto"

	"movieexample.com/gen/book"
	metadatav1 "movieexample.com/gen/movieexample/metadata/v1"
	moviev1 "movieexample.com/gen/movieexample/movie/v1"
	ratingv1 "movieexample.com/gen/movieexample/rating/v1"
)

// callTimeout bounds one call: a service answers or says that it cannot.
const callTimeout = 10 * time.Second

// at returns the instance of a part that the trial asks: its own door, or one of the others, in turn.
func (t *trial) at(p Part) *door {
	if t.door.part == p {
		return t.door
	}
	doors := t.sys.reachable(p)
	return doors[t.index%len(doors)]
}

// The clients of the services at one instance.
func (d *door) metadata() metadatav1.MetadataServiceClient {
	return metadatav1.NewMetadataServiceClient(d.conn)
}

func (d *door) ratings() ratingv1.RatingServiceClient { return ratingv1.NewRatingServiceClient(d.conn) }

func (d *door) admin() ratingv1.RatingAdminServiceClient {
	return ratingv1.NewRatingAdminServiceClient(d.conn)
}

func (d *door) movies() moviev1.MovieServiceClient { return moviev1.NewMovieServiceClient(d.conn) }

func (d *door) bookMetadata() book.MetadataServiceClient {
	return book.NewMetadataServiceClient(d.conn)
}

func (d *door) bookRatings() book.RatingServiceClient { return book.NewRatingServiceClient(d.conn) }

func (d *door) bookMovies() book.MovieServiceClient { return book.NewMovieServiceClient(d.conn) }

// method is a call of a generated client.
type method[Q, A proto.Message] func(context.Context, Q, ...grpc.CallOption) (A, error)

// try asks and returns what came, an answer or a status.
func try[Q, A proto.Message](t *trial, call method[Q, A], q Q) (A, *status.Status) {
	name := string(q.ProtoReflect().Descriptor().FullName())
	name = strings.TrimSuffix(strings.TrimPrefix(name, "movieexample."), "Request")
	if !strings.Contains(name, ".") {
		name = "book API, " + name
	}
	t.asking("%s{%s}", name, shorten(prototext.MarshalOptions{}.Format(q)))
	ctx, cancel := context.WithTimeout(t.ctx, callTimeout)
	defer cancel()
	a, err := call(ctx, q)
	return a, status.Convert(err)
}

// ask asks what must be answered.
func ask[Q, A proto.Message](t *trial, call method[Q, A], q Q) A {
	a, st := try(t, call, q)
	t.must(st.Code() == codes.OK, "an answer", "%s: %s", st.Code(), st.Message())
	return a
}

// refused asks what must be refused with a code and a text that has all the names.
func refused[Q, A proto.Message](t *trial, code codes.Code, call method[Q, A], q Q, names ...string) {
	a, st := try(t, call, q)
	if st.Code() == codes.OK {
		t.fail(code.String(), "an answer: %s", shorten(prototext.MarshalOptions{}.Format(a)))
	}
	t.must(st.Code() == code, code.String(), "%s: %s", st.Code(), st.Message())
	t.has("the text of the "+code.String(), st.Message(), names...)
}

// film is one for the trial, with its own id and genre.
func (t *trial) film(title string) *metadatav1.Movie {
	year := int32(1994)
	return &metadatav1.Movie{Id: t.name("film"), Title: title, Year: &year, Genres: []string{t.genre()}, Director: "Verify Director"}
}

// put writes a film through a metadata instance and has it deleted afterwards.
func (t *trial) put(m *metadatav1.Movie) *metadatav1.Movie {
	t.forgetFilm(m.GetId())
	return ask(t, t.at(Metadata).metadata().PutMovie, &metadatav1.PutMovieRequest{Movie: m}).GetMovie()
}

// forgetFilm has a film deleted at the end, through whatever can.
func (t *trial) forgetFilm(id string) {
	t.after(func(ctx context.Context) error {
		var err error
		switch {
		case len(t.sys.reachable(Metadata)) > 0:
			_, err = t.at(Metadata).metadata().DeleteMovie(ctx, &metadatav1.DeleteMovieRequest{Id: id})
		case len(t.sys.reachable(Movie)) > 0:
			_, err = t.at(Movie).movies().DeleteMovie(ctx, &moviev1.DeleteMovieRequest{Id: id})
		default:
			return errLeft("film "+id, t.deleteHTTP(ctx, "/v1/movies/"+segment(id)))
		}
		if status.Code(err) == codes.NotFound {
			return nil
		}
		return errLeft("film "+id, err)
	})
}

// rate rates through a rating instance, and has the rating taken back afterwards.
func (t *trial) rate(recordType, record, user string, value int32) *ratingv1.Rating {
	t.forgetRating(recordType, record, user)
	return t.rerate(recordType, record, user, value)
}

// rerate is rate for a rating that is taken back already.
func (t *trial) rerate(recordType, record, user string, value int32) *ratingv1.Rating {
	return ask(t, t.at(Rating).ratings().PutRating, &ratingv1.PutRatingRequest{
		RecordType: recordType, RecordId: record, UserId: user, Value: &value,
	}).GetRating()
}

// unrate takes a rating back.
func (t *trial) unrate(recordType, record, user string) {
	ask(t, t.at(Rating).ratings().DeleteRating, &ratingv1.DeleteRatingRequest{RecordType: recordType, RecordId: record, UserId: user})
}

// forgetRating has a rating taken back at the end, through whatever can.
func (t *trial) forgetRating(recordType, record, user string) {
	what := "rating of " + recordType + " " + record + " by " + user
	t.after(func(ctx context.Context) error {
		if len(t.sys.reachable(Rating)) > 0 {
			_, err := t.at(Rating).ratings().DeleteRating(ctx, &ratingv1.DeleteRatingRequest{RecordType: recordType, RecordId: record, UserId: user})
			return errLeft(what, err)
		}
		return errLeft(what, t.deleteHTTP(ctx, ratingPath(recordType, record, user)))
	})
}

// summary is a record's aggregate at a rating instance.
func (t *trial) summary(recordType, record string) *ratingv1.RatingSummary {
	return ask(t, t.at(Rating).ratings().GetRatingSummary, &ratingv1.GetRatingSummaryRequest{RecordType: recordType, RecordId: record}).GetSummary()
}

// summed ends the trial unless a record's aggregate is exactly that of these values.
func (t *trial) summed(recordType, record string, values ...int32) {
	s := t.summary(recordType, record)
	votes, sum, histogram := int32(len(values)), int32(0), make([]int32, 10)
	for _, v := range values {
		sum += v
		histogram[v-1]++
	}
	same(t, "votes", s.GetVotes(), votes)
	same(t, "histogram", s.GetHistogram(), histogram)
	t.near("mean", s.GetMean(), float64(sum)/float64(votes), 1e-9)
}

// unrated ends the trial if the record has ratings.
func (t *trial) unrated(recordType, record string) {
	refused(t, codes.NotFound, t.at(Rating).ratings().GetRatingSummary, &ratingv1.GetRatingSummaryRequest{RecordType: recordType, RecordId: record})
}

// rated returns one user's rating.
func (t *trial) rated(recordType, record, user string) *ratingv1.Rating {
	return ask(t, t.at(Rating).ratings().GetRating, &ratingv1.GetRatingRequest{RecordType: recordType, RecordId: record, UserId: user}).GetRating()
}
