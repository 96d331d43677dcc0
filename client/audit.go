package client

import (
	"context"
	"time"

	ratingv1 "movieexample.com/gen/movieexample/rating/v1"
)

const (
	// auditPage is the number of aggregates recomputed by one call.
	auditPage = 1000
	// adminTimeout is the time for one call that may touch many rows.
	adminTimeout = 55 * time.Second
)

// Difference is a number of an aggregate that its rows do not bear out.
type Difference struct {
	RecordType string `json:"recordType"`
	RecordID   string `json:"recordId"`
	Field      string `json:"field"` // "votes", "sum" or "histogram[1]" … "histogram[10]"
	Stored     int64  `json:"stored"`
	Recomputed int64  `json:"recomputed"`
}

// AuditSummary is the result of an audit.
type AuditSummary struct {
	// Aggregates is the number of aggregates recomputed, and Ratings that of the rows they were recomputed from.
	Aggregates  int64 `json:"aggregates"`
	Ratings     int64 `json:"ratings"`
	Differences int64 `json:"differences"`
}

// Audit lets the rating service recompute every aggregate from its rows, and hands over every difference. A page of it is
// one moment of the database, so that ratings that come in meanwhile make no difference.
func (c *Client) Audit(ctx context.Context, each func(Difference)) (AuditSummary, error) {
	var s AuditSummary
	for token := ""; ; {
		resp, err := c.auditPage(ctx, token)
		if err != nil {
			return s, err
		}
		s.Aggregates += resp.GetChecked()
		s.Ratings += resp.GetRatings()
		s.Differences += int64(len(resp.GetDifferences()))
		for _, d := range resp.GetDifferences() {
			each(Difference{
				RecordType: d.GetRecordType(), RecordID: d.GetRecordId(), Field: d.GetField(),
				Stored: d.GetStored(), Recomputed: d.GetRecomputed(),
			})
		}
		if token = resp.GetNextPageToken(); token == "" {
			return s, nil
		}
	}
}

func (c *Client) auditPage(ctx context.Context, token string) (*ratingv1.AuditAggregatesResponse, error) {
	ctx, cancel := context.WithTimeout(ctx, adminTimeout)
	defer cancel()
	resp, err := c.admin.AuditAggregates(ctx, &ratingv1.AuditAggregatesRequest{PageSize: auditPage, PageToken: token})
	return resp, c.explain(Rating, "audit the aggregates", err)
}
