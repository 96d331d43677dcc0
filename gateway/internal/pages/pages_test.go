package pages_test

import (
	"net/http"
	"net/http/httptest"
	"testing"
)

// get asks for a page.
func (s *site) get(t testing.TB, path string) *httptest.ResponseRecorder {
	t.Helper()
	w := httptest.NewRecorder()
	s.ServeHTTP(w, httptest.NewRequestWithContext(t.Context(), http.MethodGet, path, nil))
	return w
}

func TestPagesAnswer(t *testing.T) {
	s := newSite(t, append(demoFilms(t), specialFilms()...), nil)
	if w := s.get(t, "/"); w.Code != http.StatusOK {
		t.Errorf("got %d: %s", w.Code, w.Body)
	}
}
