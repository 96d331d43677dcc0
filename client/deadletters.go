package client

import (
	"context"
	"time"

	ratingv1 "movieexample.com/gen/movieexample/rating/v1"
)

// deadLetterPage is the most dead letters that one call lists, replays or drops.
const deadLetterPage = 200

// DeadLetter is an event that the rating service could not apply.
type DeadLetter struct {
	ID          string
	Topic       string
	Partition   int32
	Offset      int64
	Class       string // stable, such as "value-out-of-range"
	Reason      string // for a person
	Key         []byte
	Payload     []byte
	ContentType string
	RecordTime  time.Time // the Kafka record's timestamp; zero if it has none, or one outside the years 1 to 9999
	Created     time.Time // when it became a dead letter
}

// recordTime is zero, and not 1970, where the record has none.
func recordTime(d *ratingv1.DeadLetter) time.Time {
	if d.GetRecordTime() == nil {
		return time.Time{}
	}
	return d.GetRecordTime().AsTime()
}

// DeadLetters hands over the dead letters, oldest first, at most limit of them; 0 means all. It returns how many there are in
// all. An error of each ends it and is returned.
func (c *Client) DeadLetters(ctx context.Context, limit int, each func(DeadLetter) error) (total int64, err error) {
	err = c.deadLetterPages(ctx, limit, func(page []*ratingv1.DeadLetter, all int64) error {
		total = all
		for _, d := range page {
			err := each(DeadLetter{
				ID: d.GetId(), Topic: d.GetTopic(), Partition: d.GetPartition(), Offset: d.GetOffset(), Class: d.GetClass(), Reason: d.GetReason(),
				Key: d.GetKey(), Payload: d.GetPayload(), ContentType: d.GetContentType(),
				RecordTime: recordTime(d), Created: d.GetCreateTime().AsTime(),
			})
			if err != nil {
				return err
			}
		}
		return nil
	})
	return total, err
}

// deadLetterPages walks the pages. A page stays where it is when what came before it is replayed or dropped.
func (c *Client) deadLetterPages(ctx context.Context, limit int, each func(page []*ratingv1.DeadLetter, total int64) error) error {
	for token := ""; ; {
		size := deadLetterPage
		if limit > 0 {
			size = min(size, limit)
		}
		resp, err := c.admin.ListDeadLetters(ctx, &ratingv1.ListDeadLettersRequest{PageSize: int32(size), PageToken: token})
		if err != nil {
			return c.explain(Rating, "list dead letters", err)
		}
		if err := each(resp.GetDeadLetters(), resp.GetTotal()); err != nil {
			return err
		}
		token = resp.GetNextPageToken()
		if limit > 0 {
			if limit -= len(resp.GetDeadLetters()); limit <= 0 {
				return nil
			}
		}
		if token == "" {
			return nil
		}
	}
}

// ReplaySummary is the result of replaying dead letters.
type ReplaySummary struct {
	// Replayed is the number of events applied; they are no longer dead letters.
	Replayed int64 `json:"replayed"`
	// Refused are those that are still bad, and kept.
	Refused []Refusal `json:"refused"`
}

// Refusal is a dead letter that is still bad.
type Refusal struct {
	ID     string `json:"id"`
	Reason string `json:"reason"`
}

// ReplayDeadLetters tries the dead letters with these ids again.
func (c *Client) ReplayDeadLetters(ctx context.Context, ids []string) (ReplaySummary, error) {
	s := ReplaySummary{Refused: []Refusal{}}
	err := chunks(ids, func(ids []string) error { return c.replay(ctx, ids, &s) })
	return s, err
}

// ReplayAllDeadLetters tries every dead letter again.
func (c *Client) ReplayAllDeadLetters(ctx context.Context) (ReplaySummary, error) {
	s := ReplaySummary{Refused: []Refusal{}}
	err := c.allDeadLetters(ctx, func(ids []string) error { return c.replay(ctx, ids, &s) })
	return s, err
}

func (c *Client) replay(ctx context.Context, ids []string, s *ReplaySummary) error {
	ctx, cancel := context.WithTimeout(ctx, adminTimeout)
	defer cancel()
	resp, err := c.admin.ReplayDeadLetters(ctx, &ratingv1.ReplayDeadLettersRequest{Ids: ids})
	if err != nil {
		return c.explain(Rating, "replay dead letters", err)
	}
	s.Replayed += resp.GetReplayed()
	for _, r := range resp.GetRefused() {
		s.Refused = append(s.Refused, Refusal{ID: r.GetId(), Reason: r.GetReason()})
	}
	return nil
}

// DropDeadLetters removes the dead letters with these ids for good, and returns how many there were.
func (c *Client) DropDeadLetters(ctx context.Context, ids []string) (dropped int64, err error) {
	err = chunks(ids, func(ids []string) error { return c.drop(ctx, ids, &dropped) })
	return dropped, err
}

// DropAllDeadLetters removes every dead letter for good, and returns how many there were.
func (c *Client) DropAllDeadLetters(ctx context.Context) (dropped int64, err error) {
	err = c.allDeadLetters(ctx, func(ids []string) error { return c.drop(ctx, ids, &dropped) })
	return dropped, err
}

func (c *Client) drop(ctx context.Context, ids []string, dropped *int64) error {
	ctx, cancel := context.WithTimeout(ctx, adminTimeout)
	defer cancel()
	resp, err := c.admin.DropDeadLetters(ctx, &ratingv1.DropDeadLettersRequest{Ids: ids})
	*dropped += resp.GetDropped()
	return c.explain(Rating, "drop dead letters", err)
}

// allDeadLetters calls do with the ids of every page.
func (c *Client) allDeadLetters(ctx context.Context, do func(ids []string) error) error {
	return c.deadLetterPages(ctx, 0, func(page []*ratingv1.DeadLetter, _ int64) error {
		if len(page) == 0 {
			return nil
		}
		ids := make([]string, len(page))
		for i, d := range page {
			ids[i] = d.GetId()
		}
		return do(ids)
	})
}

// chunks calls do with at most deadLetterPage ids at a time, each id once.
func chunks(ids []string, do func([]string) error) error {
	seen := make(map[string]bool, len(ids))
	var once []string
	for _, id := range ids {
		if !seen[id] {
			seen[id] = true
			once = append(once, id)
		}
	}
	for len(once) > 0 {
		n := min(len(once), deadLetterPage)
		if err := do(once[:n]); err != nil {
			return err
		}
		once = once[n:]
	}
	return nil
}
