// Package metadata is the metadata service: what a film is.
//
// It owns the catalogue, one [Movie] per id: titles, year, genres, director, description,
// running time and the film's ids in other catalogues. Others reach it by gRPC only: the own
// API (movieexample.metadata.v1) and the book API (MetadataService without a package), which
// are two doors to the same films.
//
// What it promises:
//
//   - A movie is stored whole or not at all, and is durable when the call returns.
//   - What is stored is normalised: Unicode NFC, no white space around a text, genres without
//     duplicates. What is read back is therefore what any later comparison sees.
//   - A put that changes nothing writes nothing and keeps the etag. Every other write gives an
//     etag that this movie never had with other content, deletion and re-creation included.
//   - An external id (IMDb, TMDb, MovieLens) belongs to at most one movie.
//   - A page of a list costs the same however many films there are and however deep the page
//     is, for every order with and without genre and years; and a walk through the pages shows
//     each film that nobody touches meanwhile exactly once.
//   - A batch is one transaction, but each of its movies succeeds or fails by itself.
//   - Several sources meet in one film without losing a name, and with the same result whichever
//     of two comes first, if one of them overwrites the fields that both have.
//   - A search finds what this process wrote before, for which it waits up to 100 ms, and what another
//     process on the same database wrote within two seconds (Config.SearchRefresh). Every process gives the same
//     answers in the same order, as they depend on the films and their numbers of ratings only.
//     A walk through the pages of a search shows each film that nobody touches exactly once.
//
// Search answers from an index in memory (internal/search), which New begins to load and
// [Service.Run] keeps equal to the catalogue by the change feed in the database; until it is loaded
// for the first time, search is unavailable and everything else works. When the database fails, the
// index is as old as GetCatalogueStats says.
//
// What it refuses: to guess. A field that is out of range is an error that names it, never cut
// or replaced. Titles and years never identify a film; two films may have both in common. It
// knows no rating and no user; how many ratings a film has, by which search orders, others tell it
// (SyncVotes).
package metadata
