package search

// Kind says how a hit matches; better ones are lower.
type Kind int

const (
	// Exact: the query is the whole of one of the film's titles, but for articles and the year.
	Exact Kind = iota + 1
	// Title: every word is in the film's titles, or is its year.
	Title
	// Director: it takes the director's name to find every word.
	Director
	// Spelling: at least one word matches only by another spelling, such as "2" for "II".
	Spelling
)

// Query is what to look for.
type Query struct {
	// Text is any text at all; no character of it is an operator. What is longer than
	// [MaxQuery] is cut off.
	Text string
	// Genre is a genre's name, whatever its case; empty means all.
	Genre string
	// Decade is the first year of a decade, such as 1990; it counts if HasDecade is set.
	Decade    int
	HasDecade bool
	// After is where a page begins: behind this position. Nil means at the beginning.
	After *Position
	// Limit is the most hits to return. None are returned for 0.
	Limit int
	// NoCounts leaves Total, Genres and Decades zero, which saves the time to count.
	NoCounts bool
}

// Result is what a query finds.
type Result struct {
	// Hits are the best films behind Query.After, best first.
	Hits []Hit
	// Next is the position of the last hit if more follow, else nil.
	Next *Position
	// Total is the number of films that match the query and both filters, wherever the page is.
	Total int
	// Genres counts the films that match the query and the decade filter, by genre: most first,
	// then by name; at most [MaxGenreCounts].
	Genres []GenreCount
	// OtherGenres is how many more genres these films have.
	OtherGenres int
	// Decades counts the films that match the query and the genre filter, by decade: oldest
	// first. Films of unknown year are in none.
	Decades []DecadeCount
}

// Hit is a film that matches.
type Hit struct {
	ID   string
	Kind Kind
	// Title is the film's title in pieces.
	Title []Piece
	// MatchedName is the other name that matched (original or alternative title, director) in
	// pieces; nil where the title matched.
	MatchedName []Piece

	// film is what the hit was made of.
	film Film
}

// Piece is a part of a name. The pieces of a name, joined, are the name, byte for byte.
type Piece struct {
	Text string
	// Matched tells that a word of the query found this part.
	Matched bool
}

// Position is a place in the answer to a query: that of one hit. It stays good while films come
// and go, the hit itself included, as long as the query and its filters are the same: what comes
// behind it is decided by these fields alone.
type Position struct {
	Tier  int    `json:"t"`
	Votes int32  `json:"v"`
	Key   string `json:"k"`
	ID    string `json:"i"`
}

// Neighbour is a film that is like another one.
type Neighbour struct {
	ID string
	// Similarity is greater than 0 and at most 1.
	Similarity float64
}

// MaxGenreCounts bounds the genres that an answer counts: genres are free text, so there may be as many as films times 20.
const MaxGenreCounts = 100

// GenreCount is a number of films of one genre, in the spelling that most films have.
type GenreCount struct {
	Genre string
	Count int
}

// DecadeCount is a number of films of one decade, which is named by its first year.
type DecadeCount struct {
	Decade int
	Count  int
}

// Stats counts the films of the index.
type Stats struct {
	Films int
	// Genres are in the order of [Result]'s; at most [MaxGenreCounts].
	Genres []GenreCount
	// OtherGenres is how many more genres there are.
	OtherGenres int
	// Decades are oldest first, without films of unknown year.
	Decades []DecadeCount
}
