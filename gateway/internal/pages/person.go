package pages

import (
	"context"
	"net/http"
	"net/url"

	"movieexample.com/internal/fault"
)

const personPageSize = 50

// personPage is what person.html shows.
type personPage struct {
	Head     head
	ID       string
	Ratings  []ratedFilm
	HasFilms bool // false: the titles could not be had
	Next     string
	First    string
}

type ratedFilm struct {
	personRating
	Film  film
	Known bool // the catalogue has the film
}

func (p *Pages) user(w http.ResponseWriter, r *http.Request, id string) {
	token := r.URL.Query().Get("page_token")
	var ratings []personRating
	var next string
	err := p.breakers.call(r.Context(), "a person's ratings", func() (err error) {
		ctx, cancel := context.WithTimeout(r.Context(), ratingTimeout)
		defer cancel()
		ratings, next, err = p.ratings.byPerson(ctx, id, personPageSize, token)
		if err != nil && fault.KindOf(err) == fault.KindDeadline && r.Context().Err() == nil {
			err = fault.Unavailable(err, "the rating service did not answer in time: try again later")
		}
		return err
	})
	if err != nil {
		p.fail(w, r, err)
		return
	}
	if len(ratings) == 0 && token == "" {
		p.refuse(w, r, http.StatusNotFound, "No user by the name “"+shortened(id)+"” has rated a film here.")
		return
	}
	page := personPage{ID: id, Ratings: make([]ratedFilm, len(ratings))}
	ids := make([]string, len(ratings))
	for i, rating := range ratings {
		ids[i], page.Ratings[i].personRating = rating.FilmID, rating
	}
	if len(ids) > 0 {
		p.together(r.Context(), titlesTimeout, part{"the films' titles", func(ctx context.Context) error {
			films, err := p.movies.films(ctx, ids)
			if err != nil {
				return err
			}
			page.HasFilms = true
			for i := range page.Ratings {
				page.Ratings[i].Film, page.Ratings[i].Known = films[page.Ratings[i].FilmID], films[page.Ratings[i].FilmID].ID != ""
			}
			return nil
		}})
	}
	if next != "" {
		page.Next = personHref(id) + "?page_token=" + url.QueryEscape(next)
	}
	if token != "" {
		page.First = personHref(id)
	}
	page.Head = p.head("Ratings of "+shortened(id), "The films that "+shortened(id)+" rated, newest first.")
	// Opinions on films can be read here, but search engines need not list them by the name of their author.
	page.Head.NoIndex = true
	p.show(w, r, http.StatusOK, "person", page)
}
