package metadata

import (
	"context"

	"movieexample.com/gen/book"
	"movieexample.com/internal/fault"
)

// bookServer is the book API: the same films, of which it knows four fields.
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

// PutMetadata keeps the fields that the book API does not know: its clients read, change and
// write back, and would otherwise erase year and genres without having seen them.
func (s *bookServer) PutMetadata(ctx context.Context, req *book.PutMetadataRequest) (*book.PutMetadataResponse, error) {
	w := req.GetMetadata()
	if w == nil {
		return nil, fault.Invalid("metadata", "is required")
	}
	m := Movie{ID: w.GetId(), Title: w.GetTitle(), Description: w.GetDescription(), Director: w.GetDirector()}
	_, _, err := s.svc.put(ctx, "metadata", m, "", func(stored, m Movie) Movie {
		stored.Title, stored.Description, stored.Director = m.Title, m.Description, m.Director
		if stored.OriginalTitle == stored.Title {
			stored.OriginalTitle = ""
		}
		return stored
	})
	if err != nil {
		return nil, err
	}
	return &book.PutMetadataResponse{}, nil
}
