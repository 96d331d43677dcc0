// Command bare is what the benchmarks compare the services with: gRPC servers as the library makes them, which answer every
// question with a message that they were given.
//
//	bare ANSWER                      answers for metadata, rating and movie from the files in the directory ANSWER
//	bare ANSWER METADATA RATING      asks two other servers, side by side, before it answers for movie
//
// It listens on a free port of 127.0.0.1 and says on standard output which, and ends with its standard input.
package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"path/filepath"

	"golang.org/x/sync/errgroup"
	"google.golang.org/grpc"
	"google.golang.org/grpc/credentials/insecure"
	"google.golang.org/protobuf/proto"

	metadatav1 "movieexample.com/gen/movieexample/metadata/v1"
	moviev1 "movieexample.com/gen/movieexample/movie/v1"
	ratingv1 "movieexample.com/gen/movieexample/rating/v1"
)

func main() {
	if err := run(os.Args[1:]); err != nil {
		fmt.Fprintln(os.Stderr, "bare:", err)
		os.Exit(1)
	}
}

func run(args []string) error {
	if len(args) != 1 && len(args) != 3 {
		return errors.New("usage: bare ANSWER [METADATA RATING]")
	}
	film, films, summary := &moviev1.GetMovieResponse{}, &metadatav1.GetMovieResponse{}, &ratingv1.GetRatingSummaryResponse{}
	for name, m := range map[string]proto.Message{"movie": film, "metadata": films, "rating": summary} {
		text, err := os.ReadFile(filepath.Join(args[0], name))
		if err != nil {
			return err
		}
		if err := proto.Unmarshal(text, m); err != nil {
			return fmt.Errorf("read %s: %w", name, err)
		}
	}
	server := grpc.NewServer()
	front := &movieServer{answer: film}
	if len(args) == 3 {
		for i, addr := range args[1:] {
			conn, err := grpc.NewClient(addr, grpc.WithTransportCredentials(insecure.NewCredentials()))
			if err != nil {
				return err
			}
			defer conn.Close()
			if i == 0 {
				front.metadata = metadatav1.NewMetadataServiceClient(conn)
			} else {
				front.rating = ratingv1.NewRatingServiceClient(conn)
			}
		}
	}
	moviev1.RegisterMovieServiceServer(server, front)
	metadatav1.RegisterMetadataServiceServer(server, metadataServer{answer: films})
	ratingv1.RegisterRatingServiceServer(server, ratingServer{answer: summary})
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return err
	}
	fmt.Println(ln.Addr())
	go func() {
		_, _ = io.Copy(io.Discard, os.Stdin) // ends with its parent
		server.Stop()
	}()
	return server.Serve(ln)
}

type movieServer struct {
	moviev1.UnimplementedMovieServiceServer
	answer   *moviev1.GetMovieResponse
	metadata metadatav1.MetadataServiceClient // nil: not called
	rating   ratingv1.RatingServiceClient
}

func (s *movieServer) GetMovie(ctx context.Context, req *moviev1.GetMovieRequest) (*moviev1.GetMovieResponse, error) {
	if s.metadata == nil {
		return s.answer, nil
	}
	asking, ctx := errgroup.WithContext(ctx)
	asking.Go(func() error {
		_, err := s.metadata.GetMovie(ctx, &metadatav1.GetMovieRequest{Id: req.GetId()})
		return err
	})
	asking.Go(func() error {
		_, err := s.rating.GetRatingSummary(ctx, &ratingv1.GetRatingSummaryRequest{RecordType: "movie", RecordId: req.GetId()})
		return err
	})
	return s.answer, asking.Wait()
}

type metadataServer struct {
	metadatav1.UnimplementedMetadataServiceServer
	answer *metadatav1.GetMovieResponse
}

func (s metadataServer) GetMovie(context.Context, *metadatav1.GetMovieRequest) (*metadatav1.GetMovieResponse, error) {
	return s.answer, nil
}

type ratingServer struct {
	ratingv1.UnimplementedRatingServiceServer
	answer *ratingv1.GetRatingSummaryResponse
}

func (s ratingServer) GetRatingSummary(context.Context, *ratingv1.GetRatingSummaryRequest) (*ratingv1.GetRatingSummaryResponse, error) {
	return s.answer, nil
}
