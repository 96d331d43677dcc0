package movie

import (
	"context"

	"movieexample.com/gen/book"
	"movieexample.com/internal/fault"
)

// bookServer is the compatible API. It cannot say how good a rating is, so where a number is not known the call
// fails rather than answer 0, which means that the film has no ratings.
type bookServer struct {
	book.UnimplementedMovieServiceServer
	service *Service
}

func (s *bookServer) GetMovieDetails(ctx context.Context, req *book.GetMovieDetailsRequest) (*book.GetMovieDetailsResponse, error) {
	if err := fault.ID("movie_id", req.GetMovieId()); err != nil {
		return nil, err
	}
	d, err := s.service.details(ctx, req.GetMovieId())
	if err != nil {
		return nil, err
	}
	if d.Rating.Status == Unavailable {
		return nil, fault.Unavailable(nil, "the rating service cannot be reached and the rating of movie %q is not known: try again later", d.Movie.ID)
	}
	return d.render(apiBook, renderBook).(*book.GetMovieDetailsResponse), nil
}

func renderBook(d Details) any {
	var mean float64
	if d.Rating.Summary != nil {
		mean = d.Rating.Summary.Mean
	}
	m := d.Movie
	return &book.GetMovieDetailsResponse{MovieDetails: &book.MovieDetails{
		Rating:   mean,
		Metadata: &book.Metadata{Id: m.ID, Title: m.Title, Description: m.Description, Director: m.Director},
	}}
}
