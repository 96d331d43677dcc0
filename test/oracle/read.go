package oracle

import (
	"context"
	"database/sql"
	"errors"
	"fmt"

	"github.com/twmb/franz-go/pkg/kadm"
	"github.com/twmb/franz-go/pkg/kgo"
)

// ReadRatings reads the rating service's tables, and Next, from a database of either engine; prefix is what their names need,
// such as "name_of_database.".
func (o *Outcome) ReadRatings(ctx context.Context, db *sql.DB, prefix string) (err error) {
	o.Rows, o.Aggregates, o.Dead = map[Key]Row{}, map[Record]Aggregate{}, nil
	if o.Next, err = NextOffsets(ctx, db, prefix); err != nil {
		return err
	}
	return errors.Join(
		query(ctx, db, "SELECT record_type, record_id, user_id, value, rated_at FROM "+prefix+"ratings", func(scan func(...any) error) error {
			var k Key
			var r Row
			err := scan(&k.RecordType, &k.RecordID, &k.UserID, &r.Value, &r.At)
			o.Rows[k] = r
			return err
		}),
		query(ctx, db, "SELECT record_type, record_id, votes, total, c1, c2, c3, c4, c5, c6, c7, c8, c9, c10 FROM "+prefix+"aggregates",
			func(scan func(...any) error) error {
				var record Record
				var a Aggregate
				dest := []any{&record.Type, &record.ID, &a.Votes, &a.Sum}
				for i := range a.Counts {
					dest = append(dest, &a.Counts[i])
				}
				err := scan(dest...)
				o.Aggregates[record] = a
				return err
			}),
		query(ctx, db, "SELECT part, record_offset FROM "+prefix+"dead_letters", func(scan func(...any) error) error {
			var p Place
			err := scan(&p.Partition, &p.Offset)
			o.Dead = append(o.Dead, p)
			return err
		}),
	)
}

// ReadFilms reads the metadata service's films; prefix is as for [Outcome.ReadRatings].
func (o *Outcome) ReadFilms(ctx context.Context, db *sql.DB, prefix string) error {
	o.Films = map[string]string{}
	return query(ctx, db, "SELECT id, title FROM "+prefix+"movies", func(scan func(...any) error) error {
		var id, title string
		err := scan(&id, &title)
		o.Films[id] = title
		return err
	})
}

// NextOffsets is where ingestion goes on, by partition; prefix is as for [Outcome.ReadRatings].
func NextOffsets(ctx context.Context, db *sql.DB, prefix string) (map[int32]int64, error) {
	next := map[int32]int64{}
	return next, query(ctx, db, "SELECT part, next_offset FROM "+prefix+"ingest_offsets", func(scan func(...any) error) error {
		var p int32
		var n int64
		err := scan(&p, &n)
		next[p] = n
		return err
	})
}

// query hands over every row.
func query(ctx context.Context, db *sql.DB, text string, each func(scan func(...any) error) error) error {
	rows, err := db.QueryContext(ctx, text)
	if err != nil {
		return fmt.Errorf("%s: %w", text, err)
	}
	defer rows.Close()
	for rows.Next() {
		if err := each(rows.Scan); err != nil {
			return fmt.Errorf("%s: %w", text, err)
		}
	}
	if err := rows.Err(); err != nil {
		return fmt.Errorf("%s: %w", text, err)
	}
	return nil
}

// ReadLog reads the topic up to its ends into Log and Ends. It goes on where Log ends, so that a caller that checks often need not read
// everything again: the caller who cannot trust what has been read empties it before.
func (o *Outcome) ReadLog(ctx context.Context, brokers []string, topic string) (err error) {
	if o.Ends, err = Ends(ctx, brokers, topic); err != nil {
		return err
	}
	at := map[int32]int64{}
	for _, e := range o.Log {
		at[e.Partition] = max(at[e.Partition], e.Offset+1)
	}
	from, left := map[int32]kgo.Offset{}, map[int32]int64{}
	for p, end := range o.Ends {
		if at[p] < end {
			from[p], left[p] = kgo.NewOffset().At(at[p]), end
		}
	}
	if len(left) == 0 {
		return nil
	}
	client, err := kgo.NewClient(kgo.SeedBrokers(brokers...), kgo.DisableClientMetrics(),
		kgo.ConsumePartitions(map[string]map[int32]kgo.Offset{topic: from}), kgo.FetchMaxPartitionBytes(8<<20))
	if err != nil {
		return err
	}
	defer client.Close()
	for len(left) > 0 {
		fetches := client.PollFetches(ctx)
		if err := errors.Join(fetches.Err(), ctx.Err()); err != nil {
			return fmt.Errorf("read the log back: %w", err)
		}
		fetches.EachRecord(func(r *kgo.Record) {
			end, wanted := left[r.Partition]
			if !wanted {
				return
			}
			o.Log = append(o.Log, Entry{Place: Place{r.Partition, r.Offset}, Value: r.Value, Sent: r.Timestamp})
			if r.Offset+1 >= end {
				delete(left, r.Partition)
			}
		})
	}
	return nil
}

// Ends is where the topic ends, by partition.
func Ends(ctx context.Context, brokers []string, topic string) (map[int32]int64, error) {
	client, err := kgo.NewClient(kgo.SeedBrokers(brokers...), kgo.DisableClientMetrics())
	if err != nil {
		return nil, err
	}
	defer client.Close()
	listed, err := kadm.NewClient(client).ListEndOffsets(ctx, topic)
	if err = errors.Join(err, listed.Error()); err != nil {
		return nil, fmt.Errorf("list the ends of the log: %w", err)
	}
	ends := map[int32]int64{}
	listed.Each(func(o kadm.ListedOffset) { ends[o.Partition] = o.Offset })
	return ends, nil
}
