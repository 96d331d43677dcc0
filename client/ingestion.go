package client

import (
	"context"
	"time"

	ratingv1 "movieexample.com/gen/movieexample/rating/v1"
)

// IngestPartition is how far the rating service has ingested one partition of the topic of rating events. What is nil or empty is
// unknown: the brokers do not answer, or the topic no longer exists.
type IngestPartition struct {
	Topic      string `json:"topic"`
	TopicID    string `json:"topicId"`
	Partition  int32  `json:"partition"`
	NextOffset int64  `json:"nextOffset"` // of the next record to ingest
	EndOffset  *int64 `json:"endOffset,omitempty"`
	// LagRecords are the offsets from NextOffset to EndOffset, LagSeconds is the age of the oldest record that waits.
	LagRecords *int64   `json:"lagRecords,omitempty"`
	LagSeconds *float64 `json:"lagSeconds,omitempty"`
	// Owner is the member of the consumer group that has the partition.
	Owner string `json:"owner,omitempty"`
	// Owned tells whether any member has it; nil: unknown.
	Owned *bool `json:"owned,omitempty"`
	// Halted is why the partition is halted; empty if it is not.
	Halted string `json:"halted,omitempty"`
}

// Ingestion lists the partitions. brokersError says why the brokers did not answer; it is empty if they did. Without an
// answer, the values that come from them are those of their last answer, or missing.
func (c *Client) Ingestion(ctx context.Context) (list []IngestPartition, brokersError string, err error) {
	ctx, cancel := context.WithTimeout(ctx, adminTimeout)
	defer cancel()
	resp, err := c.admin.ListIngestPartitions(ctx, &ratingv1.ListIngestPartitionsRequest{AskBrokers: true})
	if err != nil {
		return nil, "", c.explain(Rating, "list the partitions", err)
	}
	for _, p := range resp.GetPartitions() {
		list = append(list, IngestPartition{
			Topic: p.GetTopic(), TopicID: p.GetTopicId(), Partition: p.GetPartition(), NextOffset: p.GetNextOffset(),
			EndOffset: p.EndOffset, LagRecords: p.LagRecords, LagSeconds: p.LagSeconds, Owner: p.GetOwner(), Owned: p.Owned, Halted: p.GetHalted(),
		})
	}
	return list, resp.GetBrokersError(), nil
}

// Resume is where and how to resume a partition.
type Resume struct {
	Topic     string
	Partition int32
	From      ResumePoint
	Offset    int64 // for ResumeAtOffset
	DryRun    bool  // report what would happen, and change nothing
	Force     bool  // also if the partition is not halted
}

// ResumePoint is where to resume a partition.
type ResumePoint uint8

// The points.
const (
	ResumeAtEarliest ResumePoint = iota // the oldest record that the log has
	ResumeAtOffset                      // Resume.Offset
	ResumeAtEnd                         // behind the newest record
)

// Resumed is what a resumption has done, or would do. The numbers count offsets; in a log with transactions not each is an event.
type Resumed struct {
	Topic     string `json:"topic"`
	TopicID   string `json:"topicId"`
	Partition int32  `json:"partition"`
	OldOffset *int64 `json:"oldOffset,omitempty"` // nil: nothing was ever ingested of it
	NewOffset int64  `json:"newOffset"`
	Skipped   int64  `json:"skipped"`  // in the log, and skipped
	Lost      int64  `json:"lost"`     // never ingested, and no longer in the log
	Repeated  int64  `json:"repeated"` // ingested, and read again, which changes nothing
	// GivenUp describes the records that will never be ingested.
	GivenUp []string `json:"givenUp"`
	Halted  string   `json:"halted,omitempty"` // why it was halted
	DryRun  bool     `json:"dryRun,omitempty"`
	// TakenUp: the owner of the partition has resumed there. Otherwise it has no owner, and the next owner starts there.
	TakenUp bool `json:"takenUp"`
}

// ResumePartition resumes a partition, and returns when its owner has resumed.
func (c *Client) ResumePartition(ctx context.Context, r Resume) (Resumed, error) {
	ctx, cancel := context.WithTimeout(ctx, 30*time.Second)
	defer cancel()
	from := map[ResumePoint]ratingv1.ResumeIngestPartitionRequest_From{
		ResumeAtEarliest: ratingv1.ResumeIngestPartitionRequest_FROM_EARLIEST,
		ResumeAtOffset:   ratingv1.ResumeIngestPartitionRequest_FROM_OFFSET,
		ResumeAtEnd:      ratingv1.ResumeIngestPartitionRequest_FROM_END,
	}[r.From]
	resp, err := c.admin.ResumeIngestPartition(ctx, &ratingv1.ResumeIngestPartitionRequest{
		Topic: r.Topic, Partition: r.Partition, From: from, Offset: r.Offset, ValidateOnly: r.DryRun, Force: r.Force,
	})
	if err != nil {
		return Resumed{}, c.explain(Rating, "resume a partition", err)
	}
	return Resumed{
		Topic: r.Topic, TopicID: resp.GetTopicId(), Partition: r.Partition, OldOffset: resp.OldOffset, NewOffset: resp.GetNewOffset(),
		Skipped: resp.GetSkippedRecords(), Lost: resp.GetLostRecords(), Repeated: resp.GetRepeatedRecords(),
		GivenUp: append([]string{}, resp.GetGivenUp()...), Halted: resp.GetHalted(), DryRun: r.DryRun, TakenUp: resp.GetTakenUp(),
	}, nil
}
