package metadata

import (
	"context"

	"movieexample.com/gen/book"
	"movieexample.com/internal/fault"
)

// bookServer is the book API: the same films with four of their fields.
type bookServer struct {
	book.UnimplementedMetadataServiceServer
	svc *Service
}

func (s *bookServer) GetMetadata(ctx context.Context, req *book.GetMetadataRequest) (*book.GetMetadataResponse, error) {
	if err := fault.ID("movie_id", req.GetMovieId()); err != nil {
		return nil, err
	}
	m, err := s.svc.Movie(ctx, req.GetMovieId())
	if err != nil {
		return nil, err
	}
	return &book.GetMetadataResponse{
		Metadata: &book.Metadata{Id: m.ID, Title: m.Title, Description: m.Description, Director: m.Director},
	}, nil
}

func (s *bookServer) PutMetadata(ctx context.Context, req *book.PutMetadataRequest) (*book.PutMetadataResponse, error) {
	w := req.GetMetadata()
	if w == nil {
		return nil, fault.Invalid("metadata", "is required")
	}
	m := Movie{ID: w.GetId(), Title: w.GetTitle(), Description: w.GetDescription(), Director: w.GetDirector()}
	if _, _, err := s.svc.put(ctx, "metadata", m, "", mergeBook); err != nil {
		return nil, err
	}
	return &book.PutMetadataResponse{}, nil
}
