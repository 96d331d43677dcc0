package pages_test

import (
	"context"
	"net/http"
	"net/http/httptest"
	"testing"

	"google.golang.org/grpc"

	"movieexample.com/gateway/internal/pages"
	moviev1 "movieexample.com/gen/movieexample/movie/v1"
	ratingv1 "movieexample.com/gen/movieexample/rating/v1"
	"movieexample.com/internal/rpc"
)

func inProcess(t testing.TB, register func(grpc.ServiceRegistrar)) grpc.ClientConnInterface {
	t.Helper()
	s, err := rpc.NewServer(rpc.ServerConfig{Name: "test"})
	if err != nil {
		t.Fatal(err)
	}
	register(s)
	t.Cleanup(func() {
		if err := s.Shutdown(context.Background()); err != nil {
			t.Error(err)
		}
	})
	return s.Conn()
}

func TestHomeWithoutServices(t *testing.T) {
	p, err := pages.New(pages.Config{}, pages.Deps{
		Movie:  inProcess(t, func(r grpc.ServiceRegistrar) { moviev1.RegisterMovieServiceServer(r, moviev1.UnimplementedMovieServiceServer{}) }),
		Rating: inProcess(t, func(r grpc.ServiceRegistrar) { ratingv1.RegisterRatingServiceServer(r, ratingv1.UnimplementedRatingServiceServer{}) }),
	})
	if err != nil {
		t.Fatal(err)
	}
	w := httptest.NewRecorder()
	p.ServeHTTP(w, httptest.NewRequestWithContext(t.Context(), http.MethodGet, "/", nil))
	if w.Code != http.StatusOK {
		t.Errorf("got %d: %s", w.Code, w.Body)
	}
}
