package rating

import "github.com/cespare/xxhash/v2"

// votesDigest stands for how many ratings each record of a type has: equal digests mean equal numbers, but for a chance of
// about 2^-64. It tells of the changes that cancel out in [totals]. The zero value is that of no records.
//
// It is a function of the rows alone, so that every process on the same database, and every release of it, gives the same
// one; whoever asks now this process and now that one would otherwise see changes where there are none. Record ids come from
// callers, and xxHash does not withstand one who looks for ids that collide; what he gains is that a change of his own
// ratings shows late in a search.
type votesDigest uint64

// add counts a record with at least one rating. A record is added once; the order does not matter.
func (d *votesDigest) add(recordID string, votes int64) {
	// Mixed after the number went in: a plain sum of id·votes or id+votes would have ids and numbers make up for each other.
	// mix64 is a bijection, so another number of ratings of the same record never gives the same term.
	*d += votesDigest(mix64(xxhash.Sum64String(recordID) + uint64(votes)))
}

// mix64 is David Stafford's Mix13 (Better Bit Mixing, 2011), which SplitMix64 ends with.
func mix64(z uint64) uint64 {
	z = (z ^ z>>30) * 0xbf58476d1ce4e5b9
	z = (z ^ z>>27) * 0x94d049bb133111eb
	return z ^ z>>31
}
