// Package data owns the demo catalogue: some 300 well-known films that a
// fresh installation shows before anybody has imported anything.
//
// The catalogue is one JSON object per line in films.jsonl, built into the
// binary, so the demo needs neither a file beside it nor a network. [Films] is
// the only door.
//
// It promises that every film is what a careful editor would have typed in:
// true facts, an id that is the film's IMDb title id (so that a later import of
// another source meets the same record instead of making a second one), genres
// from [Genres], and a description of one sentence that we wrote ourselves.
//
// Two fields are not facts: [Film.Level] and [Film.Popularity] are invented, and
// exist only to give the demo's synthetic ratings a plausible shape.
//
// It refuses to hold anything taken from a data set whose licence does not let
// us pass it on: no MovieLens ids, no ratings of real people. It knows nothing
// of services, storage or the wire; the loader of the demo translates.
package data
