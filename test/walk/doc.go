// Package walk tests what cannot be tested in one service alone: lists, charts and search results of the movie service, which
// keeps pages for a moment, over the real metadata and rating services on SQLite, while films come and go.
package walk
