// Package metadata is the metadata service: what a film is.
//
// It owns the catalogue, one [Movie] per id: titles, year, genres, director, description,
// running time and the film's ids in other catalogues. Other services reach it only by gRPC: by its own
// API (movieexample.metadata.v1) and by the book API (MetadataService without a package), which
// serve the same films.
//
// What it promises:
//
//   - A movie is stored whole or not at all, and is durable when the call returns.
//   - Stored texts are normalised: Unicode NFC, no white space at the ends, genres without
//     duplicates. So a read returns exactly what later writes are compared with.
//   - A put that changes nothing writes nothing and keeps the etag. Every other write gives an
//     etag that this movie never had with other content, deletion and re-creation included.
//   - An external id (IMDb, TMDb, MovieLens) belongs to at most one movie.
//   - A page of a list costs the same however many films there are and however deep the page
//     is, for every order with and without genre and years; and a walk through the pages shows
//     each film that does not change during it exactly once.
//   - A batch is one transaction, but each of its movies succeeds or fails separately.
//   - Several sources can describe one film without losing a name, and in any order with the same
//     result, if one of two sources overwrites the fields that both have.
//   - A search finds earlier writes of this process, for which it waits up to 100 ms, and writes of other
//     processes on the same database within two seconds (Config.SearchRefresh). Every process gives the same
//     answers in the same order, as they depend only on the films and their numbers of ratings.
//     A walk through the pages of a search shows each film that does not change exactly once.
//
// Search answers from an index in memory (internal/search), which New starts to load and
// [Service.Run] keeps equal to the catalogue by the change feed in the database; until it is loaded
// for the first time, search is unavailable and everything else works. When the database fails, the
// index is as old as GetCatalogueStats says.
//
// It does not guess. A field that is out of range is an error that names it; it is never cut
// or replaced. Titles and years do not identify a film; two films may have both in common. It
// has no ratings and no users; other services send it the numbers of ratings that order searches
// (SyncVotes).
package metadata
