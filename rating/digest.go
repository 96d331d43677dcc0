package rating

import "github.com/cespare/xxhash/v2"

// votesDigest is a digest of how many ratings each record of a type has: equal digests mean equal numbers, but for a chance of about
// 2^-64. It shows changes that cancel out in [totals]. The zero value is that of no records.
//
// It is a function of the rows alone, so every process on the same database, and every release, computes the same one; a client that
// asks different processes would otherwise see changes that did not happen. Record ids come from callers, and xxHash does not resist
// a search for ids that collide; such a collision only makes a change of the caller's own ratings appear late in a search.
type votesDigest uint64

// add counts a record with at least one rating. A record is added once; the order does not matter.
func (d *votesDigest) add(recordID string, votes int64) {
	// Mixed after adding the number: in a plain sum of id·votes or id+votes, ids and numbers could cancel out. mix64 is a bijection, so
	// another number of ratings of the same record never gives the same term.
	*d += votesDigest(mix64(xxhash.Sum64String(recordID) + uint64(votes)))
}

// mix64 is David Stafford's Mix13 (Better Bit Mixing, 2011), the finalizer of SplitMix64.
func mix64(z uint64) uint64 {
	z = (z ^ z>>30) * 0xbf58476d1ce4e5b9
	z = (z ^ z>>27) * 0x94d049bb133111eb
	return z ^ z>>31
}
