// Package page creates and reads page tokens: the opaque text with which a client
// requests the next page of a list.
//
// A token holds the sort key of the last row seen (keyset paging), so the page after
// the millionth row costs as much as the first one, and insertions and deletions
// between two requests make no row repeat or vanish. It also holds a fingerprint of the filter
// and the order, because a key means nothing in another list.
//
// A token is not secret and not signed: a client that forges one can ask for rows that
// another request would show as well. Its checksum finds accidents — a token that was
// cut off, retyped or mixed up — and says so, instead of answering with a wrong page.
//
// A token is valid for 72 hours (AIP-158 advises to let tokens expire): its meaning may
// change with a release. A token that is older, has another version of the format, belongs to
// another query or was altered is refused with a message that says to start again. Clocks of
// processes differ: a token from the future counts as new.
package page
