package metadata

import (
	"context"
)

// tailLength is how many of a feed's last numbers can be lost and still be noticed. A writer waits until its commit is on disk, so
// at most one transaction per writing connection, of all processes, is visible and not yet on disk. A server has 151 connections by
// default, and each metadata process takes 16 for writing and as many for reading.
// Rereading the tail takes a millisecond if each transaction wrote one film, and a tenth of a second
// if each wrote 200, as in an import. No transaction has more films, or more than 500 votes; so the tail is some
// 25,000 films, and double that before it is pruned.
const tailLength = 128

// maxChunk bounds the films that the index takes at once.
const maxChunk = 32_000

// feed is how far the index has followed one of the two feeds.
//
// Numbers are given out in the order of commits, which is the order in which they reach the disk. So a server that is killed
// loses the last numbers, and gives them out again, to other films or to the same. The feed remembers its tail: what
// the index applied under the last numbers. To compare it with the database, it needs a film's number and
// etag, and the votes it had then: they come with the film, perhaps before they come in the feed of the votes.
type feed struct {
	name string
	// after reads what has a greater number, of reads films by id.
	after func(ctx context.Context, q queryer, number int64, do func(entry)) error
	of    func(ctx context.Context, q queryer, ids []string, do func(entry)) error
	// gone is the entry of a film that of does not find, without its id.
	gone  entry
	apply func([]entry)

	at int64 // the index has all changes up to this number
	// settled is at as of the last complete look, or as of the start of the load.
	settled int64
	tail    map[string]mark // by film; at least those of the last 2*tailLength numbers
	pruned  int64           // tail has nothing older
	pass    uint64          // the current reading of the tail
}

// mark is what the index applied of a film.
type mark struct {
	number int64
	tag    string
	votes  int32
	pass   uint64 // the last reading in which it was seen
}

func (f *feed) mark(e entry) mark {
	return mark{number: e.number, tag: e.tag, votes: e.Film.Votes, pass: f.pass}
}

// begin forgets everything; the films to load are at least as new as the number.
func (f *feed) begin(at int64) {
	f.at, f.settled, f.pruned, f.tail = at, at, 0, map[string]mark{}
}

func (f *feed) settle() { f.settled = f.at }

// start is where the tail starts.
func (f *feed) start() int64 { return f.settled - tailLength }

// outOfReach reports whether the tail does not show what was lost: the feed's last number is before the tail, or the looks since the
// last complete one advanced so far that the tail no longer has the last number of that look.
func (f *feed) outOfReach(head int64) bool {
	return head < f.start() || f.at-f.settled > tailLength
}

// follow applies what has new numbers.
func (f *feed) follow(ctx context.Context, q queryer, head int64) (changes int, err error) {
	return f.read(ctx, q, f.at, head, func(entry) bool { return true })
}

// finishLoad applies what happened while the films were loaded, and starts the tail.
func (f *feed) finishLoad(ctx context.Context, q queryer, head int64) (changes int, err error) {
	return f.read(ctx, q, f.start(), head, func(e entry) bool { return e.number > f.settled })
}

// reread compares the tail with the database and corrects the index, while it follows. It returns how many films were
// wrong in the index.
func (f *feed) reread(ctx context.Context, q queryer, head int64) (changes, wrong int, err error) {
	f.pass++
	known, start := f.at, f.start()
	changes, err = f.read(ctx, q, start, head, func(e entry) bool {
		m, ok := f.tail[e.Film.ID]
		if ok && m.number == e.number && m.tag == e.tag && m.votes == e.Film.Votes {
			return false
		}
		if e.number <= known && (!ok || m.tag != e.tag) {
			wrong++ // the number was seen before, with another content
		}
		return true
	})
	if err != nil {
		return changes, wrong, err
	}
	// Movies no longer in the feed have a number from before the tail again, or none.
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
		// It was read after the feed, and may be newer and get lost as well: it stays in the tail.
		e.number = f.at
		if e.tag != f.tail[id].tag {
			wrong++
		}
		corrections = append(corrections, e)
	}
	f.take(corrections)
	return changes + len(corrections), wrong, nil
}

// read applies what has a greater number than from and is fresh; it only remembers the rest. Afterwards at is the
// feed's last number, which was head or greater.
func (f *feed) read(ctx context.Context, q queryer, from, head int64, fresh func(entry) bool) (changes int, err error) {
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

// take applies entries and remembers them in one step: what is remembered is in the index.
func (f *feed) take(entries []entry) {
	if len(entries) == 0 {
		return
	}
	f.apply(entries)
	for _, e := range entries {
		f.tail[e.Film.ID] = f.mark(e)
	}
}

// prune forgets what is older than the tail, once there is enough of it.
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
