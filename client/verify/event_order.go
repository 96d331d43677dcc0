package verify

import (
	"fmt"
	"time"

	"google.golang.org/grpc/codes"

	ratingv1 "movieexample.com/gen/movieexample/rating/v1"
)

// orderScenarios check that the newest event wins, whatever the order of events and however often they are repeated.
func orderScenarios() []Scenario {
	needs := []Part{Rating}
	return []Scenario{
		{Area: AreaEvents, Door: Kafka, Needs: needs, Promise: "The newest event wins, in every order in which three can come, with and without keys.", ask: newestWins},
		{Area: AreaEvents, Door: Kafka, Needs: needs, Promise: "An event that comes several times counts once.", ask: duplicatesCountOnce},
		{Area: AreaEvents, Door: Kafka, Needs: needs, Promise: "A delete leaves a tombstone: an older event that comes late does not bring the rating back, a newer one does.", ask: deleteLeavesTombstone},
		{Area: AreaEvents, Door: Kafka, Needs: needs, Promise: "A delete that comes before what it deletes holds.", ask: deleteComesFirst},
		{Area: AreaEvents, Door: Kafka, Needs: needs, Promise: "An event that is older than a synchronous rating or deletion does not undo it.", ask: synchronousStays},
		{Area: AreaEvents, Door: Kafka, Needs: needs, Promise: "A synchronous rating replaces one from the future by a time just after it, so that it is always the newest.", ask: versionAfterFuture},
	}
}

func newestWins(t *trial) {
	for _, form := range []string{"keyed", "keyless"} {
		record := t.name("record")
		var events []event
		var want []int32
		for _, order := range [][3]int{{0, 1, 2}, {0, 2, 1}, {1, 0, 2}, {1, 2, 0}, {2, 0, 1}, {2, 1, 0}} {
			user := t.name("user")
			t.forgetRating("movie", record, user)
			for _, i := range order {
				events = append(events, t.rating(record, user, int32(2+3*i), past().Add(time.Duration(i)*time.Microsecond)))
			}
			want = append(want, 8)
		}
		if form == "keyed" {
			t.ingest(keyed(events...)...)
		} else {
			t.ingest(keyless(events...)...)
		}
		t.asking("the aggregate after %s events of six users in six orders", form)
		t.summed("movie", record, want...)
	}
}

func duplicatesCountOnce(t *trial) {
	record, a, b := t.name("record"), t.name("user"), t.name("user")
	t.forgetRating("movie", record, a)
	t.forgetRating("movie", record, b)
	first, second := t.rating(record, a, 3, past()), t.rating(record, b, 9, past())
	t.ingest(keyed(first, first, second)...)
	t.ingest(keyless(second, first, first, second)...)
	t.summed("movie", record, 3, 9)
}

// taken is an event that takes a rating back.
func (t *trial) taken(record, user string, when time.Time) event {
	e := t.rating(record, user, 0, when)
	e.EventType = "delete"
	return e
}

func deleteLeavesTombstone(t *trial) {
	record, user, other := t.name("record"), t.name("user"), t.name("user")
	t.forgetRating("movie", record, user)
	t.rate("movie", record, other, 5)
	t.ingest(keyed(t.rating(record, user, 9, past()), t.taken(record, user, past().Add(2*time.Hour)))...)
	t.summed("movie", record, 5)
	t.ingest(keyed(t.rating(record, user, 10, past().Add(time.Hour)))...)
	t.summed("movie", record, 5)
	refused(t, codes.NotFound, t.at(Rating).ratings().GetRating, &ratingv1.GetRatingRequest{RecordType: "movie", RecordId: record, UserId: user})
	t.ingest(keyed(t.rating(record, user, 6, past().Add(3*time.Hour)))...)
	t.summed("movie", record, 5, 6)
}

func deleteComesFirst(t *trial) {
	record, user, other := t.name("record"), t.name("user"), t.name("user")
	t.forgetRating("movie", record, user)
	t.forgetRating("movie", record, other)
	t.ingest(keyed(t.taken(record, user, past().Add(time.Hour)), t.rating(record, user, 8, past()), t.rating(record, other, 4, past()))...)
	t.summed("movie", record, 4)
}

func synchronousStays(t *trial) {
	record, stays, gone := t.name("record"), t.name("user"), t.name("user")
	t.rate("movie", record, stays, 7)
	t.rate("movie", record, gone, 2)
	t.unrate("movie", record, gone)
	hourAgo := time.Now().Add(-time.Hour)
	t.ingest(keyed(t.rating(record, stays, 1, hourAgo), t.taken(record, stays, hourAgo), t.rating(record, gone, 10, hourAgo))...)
	t.summed("movie", record, 7)
}

func versionAfterFuture(t *trial) {
	record, user := t.name("record"), t.name("user")
	future := time.Now().Add(time.Hour).Truncate(time.Microsecond)
	t.forgetRating("movie", record, user)
	t.ingest(keyed(t.rating(record, user, 2, future))...)
	same(t, "the value of the event", t.rated("movie", record, user).GetValue(), 2)
	for i := range 3 {
		put := t.rerate("movie", record, user, int32(5+i))
		same(t, fmt.Sprintf("the time of synchronous rating %d", i+1), at(put.GetRatedAt().AsTime()), at(future.Add(time.Duration(i+1)*time.Microsecond)))
	}
	t.ingest(keyed(t.rating(record, user, 1, future))...) // late, and older
	t.summed("movie", record, 7)
	t.unrate("movie", record, user)
	t.unrated("movie", record)
}
