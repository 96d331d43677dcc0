package metadata

import (
	"context"

	"movieexample.com/metadata/internal/search"
)

// tailLength is how many of a feed's last numbers may be lost and are noticed. Whoever commits waits until that is on disk, so
// that what others can see and is not there yet is at most one transaction for each connection that writes, of all
// processes. A server as it comes has 151 connections, and each metadata process takes 16 for writing and as many for reading.
// Looking at the tail again takes a millisecond where each transaction wrote one film, and a tenth of a second
// where each wrote 200, as in an import. No transaction has more films, or more than 500 votes; so the tail is some
// 25,000 films, and double that before it is cut.
const tailLength = 128

// feed is one of the two feeds, as the index has followed it.
//
// Numbers are given out in the order of commits, which is the order in which they get to disk. So what a server loses when it is
// killed are the last numbers, and they are given out again, to other films or to the same. The feed remembers its tail: what
// the index took over under the last numbers. To be compared with what is there now, that needs a film's number and
// etag, and the votes it had then: they come with the film, perhaps before the feed of the votes has told of them.
type feed struct {
	name string
	// after reads what has a greater number, of reads films by id.
	after func(ctx context.Context, q reading, number int64, do func(entry)) error
	of    func(ctx context.Context, q reading, ids []string, do func(entry)) error
	// gone is the entry of a film that of does not find, but for its id.
	gone  entry
	apply func([]entry)

	at int64 // the index knows what the numbers up to this one were given to
	// settled is at as of the last look that was complete, or as of the beginning of the load.
	settled int64
	tail    map[string]mark // by film; at least what had the last 2*tailLength numbers
	pruned  int64           // tail has nothing that is older
	pass    uint64          // the current reading of the tail
}

// mark is what the index took over of a film.
type mark struct {
	number int64
	tag    string
	votes  int32
	pass   uint64 // the last reading in which it was seen
}

func (f *feed) mark(e entry) mark {
	return mark{number: e.number, tag: e.tag, votes: e.Film.Votes, pass: f.pass}
}

// begin forgets everything; the films that are going to be loaded are as of the number at least.
func (f *feed) begin(at int64) {
	f.at, f.settled, f.pruned, f.tail = at, at, 0, map[string]mark{}
}

func (f *feed) settle() { f.settled = f.at }

// start is where the tail begins.
func (f *feed) start() int64 { return f.settled - tailLength }

// outOfReach reports whether the tail cannot tell what was lost: the feed's last number is before it, or the looks since the last
// one that was complete went so far that what was last then is not in it any more.
func (f *feed) outOfReach(head int64) bool {
	return head < f.start() || f.at-f.settled > tailLength
}

// follow applies what has numbers that are not known yet.
func (f *feed) follow(ctx context.Context, q reading, head int64) (changes int, err error) {
	return f.read(ctx, q, f.at, head, func(entry) bool { return true })
}

// finishLoad applies what happened while the films were loaded, and begins to remember.
func (f *feed) finishLoad(ctx context.Context, q reading, head int64) (changes int, err error) {
	return f.read(ctx, q, f.start(), head, func(e entry) bool { return e.number > f.settled })
}

// again compares the tail with what is there now, and makes it right, while it follows. It returns how many films were
// wrong in the index.
func (f *feed) again(ctx context.Context, q reading, head int64) (changes, wrong int, err error) {
	f.pass++
	known, start := f.at, f.start()
	changes, err = f.read(ctx, q, start, head, func(e entry) bool {
		m, ok := f.tail[e.Film.ID]
		if ok && m.number == e.number && m.tag == e.tag && m.votes == e.Film.Votes {
			return false
		}
		if e.number <= known && (!ok || m.tag != e.tag) {
			wrong++ // its number was seen before, with another film or with this one
		}
		return true
	})
	if err != nil {
		return changes, wrong, err
	}
	// What is not in the feed any more has a number from before the tail again, or none.
	var ids []string
	for id, m := range f.tail {
		if m.number > start && m.pass != f.pass {
			ids = append(ids, id)
		}
	}
	if len(ids) == 0 {
		return changes, wrong, nil
	}
	found := make(map[string]entry, len(ids))
	if err := f.of(ctx, q, ids, func(e entry) { found[e.Film.ID] = e }); err != nil {
		return changes, wrong, err
	}
	corrections := make([]entry, 0, len(ids))
	for _, id := range ids {
		e, ok := found[id]
		if !ok {
			e = f.gone
			e.Film.ID = id
		}
		// It was read after the feed, and may be newer and get lost as well: it stays in the tail, and is read again with it.
		e.number = f.at
		if e.tag != f.tail[id].tag {
			wrong++
		}
		corrections = append(corrections, e)
	}
	f.take(corrections)
	return changes + len(corrections), wrong, nil
}

// read applies what has a greater number than from, as far as fresh says so; the rest is remembered alone. Afterwards at is the
// feed's last number, which was head or greater.
func (f *feed) read(ctx context.Context, q reading, from, head int64, fresh func(entry) bool) (changes int, err error) {
	var chunk []entry
	last := from
	err = f.after(ctx, q, from, func(e entry) {
		if len(chunk) >= maxChunk && e.number > last {
			// Every film with a number up to last has been seen.
			f.take(chunk)
			chunk, f.at = nil, max(f.at, last)
			f.prune()
		}
		last = e.number
		if !fresh(e) {
			f.tail[e.Film.ID] = f.mark(e)
			return
		}
		chunk = append(chunk, e)
		changes++
	})
	if err != nil {
		return changes, err
	}
	f.take(chunk)
	f.at = max(head, last)
	f.prune()
	return changes, nil
}

// take applies entries and remembers them. It is one step: what is remembered is in the index.
func (f *feed) take(entries []entry) {
	if len(entries) == 0 {
		return
	}
	f.apply(entries)
	for _, e := range entries {
		f.tail[e.Film.ID] = f.mark(e)
	}
}

// prune forgets what is older than the tail, now and then.
func (f *feed) prune() {
	f.pruned = min(f.pruned, f.at)
	end := f.at - 2*tailLength
	if end < f.pruned+tailLength {
		return
	}
	f.pruned = end
	for id, m := range f.tail {
		if m.number <= end {
			delete(f.tail, id)
		}
	}
}

func filmsOf(entries []entry) []search.Change {
	changes := make([]search.Change, len(entries))
	for i, e := range entries {
		changes[i] = e.Change
	}
	return changes
}

func countsOf(entries []entry) map[string]int32 {
	counts := make(map[string]int32, len(entries))
	for _, e := range entries {
		counts[e.Film.ID] = e.Film.Votes
	}
	return counts
}
