// Package page makes and reads page tokens: the opaque text with which a client asks
// for the next page of a list.
//
// A token holds the sort key of the last row seen (keyset paging), so the page after
// the millionth row costs what the first one costs, and rows that come or go between
// two requests neither repeat nor vanish. It also holds a fingerprint of the filter
// and the order, because a key means nothing in another list.
//
// A token is not secret and not signed: whoever forges one can ask for rows that
// another request would show as well. Its checksum finds accidents — a token that was
// cut off, retyped or mixed up — and says so, instead of answering with a wrong page.
//
// Tokens do not expire. One that was made by another version of the format is refused
// with a text that says to begin again.
package page
