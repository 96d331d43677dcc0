package search

// Kind says how a hit matches; better ones are lower.
type Kind int

const (
	// Exact: the query is one of the film's titles, apart from articles and the year.
	Exact Kind = iota + 1
	// Title: every word is in the film's titles, or is its year.
	Title
	// Director: the words are in the titles and the director's name.
	Director
	// Spelling: at least one word matches only by another spelling, such as "2" for "II".
	Spelling
)

// Query is a search.
type Query struct {
	// Text is any text; no character of it is an operator. It is cut to [MaxQuery] characters.
	Text string
	// Genre is a genre's name in any case; empty means all.
	Genre string
	// Decade is the first year of a decade, such as 1990; it counts if HasDecade is set.
	Decade    int
	HasDecade bool
	// After is the position after which the page starts; nil for the first page.
	After *Position
	// Limit is the most hits to return. None are returned for 0.
	Limit int
	// NoCounts leaves Total and Counts zero, which saves time.
	NoCounts bool
}

// Result is what a query finds.
type Result struct {
	// Hits are the best films after Query.After, best first.
	Hits []Hit
	// Next is the position of the last hit if more follow, else nil.
	Next *Position
	// Total is the number of films that match the query and both filters, on all pages.
	Total int
	// Counts: Genres are of the films that match the query and the decade filter, Decades of those that
	// match the query and the genre filter.
	Counts
}

// Counts counts films by genre and by decade.
type Counts struct {
	// Genres are most films first, then by name; at most [MaxGenreCounts].
	Genres []GenreCount
	// OtherGenres is how many more genres there are.
	OtherGenres int
	// Decades are oldest first, without films of unknown year.
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

	// film is the film as the index has it.
	film Film
}

// Piece is a part of a name. The pieces of a name, joined, are the name, byte for byte.
type Piece struct {
	Text string
	// Matched says that a word of the query found this part.
	Matched bool
}

// Position is the place of one hit in the answer to a query. It stays valid while films come
// and go, the hit itself included, as long as the query and its filters are the same: these fields alone decide
// what comes after it.
type Position struct {
	Tier  int    `json:"t"`
	Votes int32  `json:"v"`
	Key   string `json:"k"`
	ID    string `json:"i"`
}

// Neighbour is a film that is similar to another one.
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
	Counts
}
