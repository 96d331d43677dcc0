package rating

// logRecord is one record of the log: decoded to a change, or refused.
type logRecord struct {
	// offset is the record's place; of an undecodable batch, that of its last record.
	offset int64
	change Rating
	// arrives: the event has no time; the change gets one when it is first ingested.
	arrives bool
	// implausible says what is unusual about its time, see events.Implausible.
	implausible string
	// dead is set if the record was refused.
	dead *deadLetter
	// deadLetter makes a dead letter of a decoded record, in case the database refuses it.
	deadLetter func(class string, err error) deadLetter
	// marker: the record is not an event but the end of a producer's transaction. It only moves the offset.
	marker bool
}

// deadLetters are the dead letters to try, in this order, for a record that the database refuses: first with all that is known of the
// record, then without anything the sender chose. A letter that says less is better than a halted partition.
func (r *logRecord) deadLetters() []func(cause error) deadLetter {
	whole := func(cause error) deadLetter { return r.deadLetter(classStoreRefused, cause) }
	switch {
	case r.marker:
		return nil
	case r.dead != nil: // the whole letter was refused already
		return []func(error) deadLetter{r.dead.reduced}
	}
	return []func(error) deadLetter{whole, func(cause error) deadLetter { return whole(cause).reduced(cause) }}
}

// batch is what one transaction ingests: the records [start, end) of a partition.
type batch struct {
	partition
	start, end int64
	changes    []Rating
	// arrivals are the changes that have no time yet, in the order of their offsets.
	arrivals []arriving
	dead     []deadLetter
}

// batchOf is the batch of a run of records that begins at start.
func batchOf(p partition, start int64, recs []logRecord) batch {
	b := batch{partition: p, start: start, end: recs[len(recs)-1].offset + 1, changes: make([]Rating, 0, len(recs))}
	for _, r := range recs {
		switch {
		case r.dead != nil:
			b.dead = append(b.dead, *r.dead)
		case !r.marker:
			if r.arrives {
				b.arrivals = append(b.arrivals, arriving{change: len(b.changes), offset: r.offset})
			}
			b.changes = append(b.changes, r.change)
		}
	}
	return b
}

// outcome is what happened to events.
type outcome struct {
	applied, superseded, repeated, refused int
	// letters is the size of their dead letters in bytes.
	letters int64
}

func (o outcome) and(p outcome) outcome {
	return outcome{o.applied + p.applied, o.superseded + p.superseded, o.repeated + p.repeated, o.refused + p.refused, o.letters + p.letters}
}

// outcome counts what happens to a batch's events, each of them after those before it. winners is how many rows they change.
func (b *batch) outcome(before map[Key]Rating, winners int) (done outcome) {
	done.refused = len(b.dead)
	for i := range b.dead {
		done.letters += b.dead[i].size()
	}
	if winners == len(b.changes) { // true of most batches, and cheap
		done.applied = winners
		return done
	}
	current := make(map[Key]Rating, len(b.changes))
	for _, c := range b.changes {
		old, known := current[c.Key]
		if !known {
			old, known = before[c.Key]
		}
		switch {
		case !known || c.newer(old):
			current[c.Key] = c
			done.applied++
		case old.newer(c):
			done.superseded++
		default:
			done.repeated++
		}
	}
	return done
}
