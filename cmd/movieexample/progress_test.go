package main

import (
	"bytes"
	"strings"
	"testing"
	"time"

	"movieexample.com/client"
)

func TestProgressText(t *testing.T) {
	for _, tc := range []struct {
		p    client.Progress
		from int64 // done when the phase began
		took time.Duration
		bar  bool
		want string
	}{
		{client.Progress{Phase: client.PhaseRatings, Rows: 50_000, Done: 50, Total: 100}, 0, 10 * time.Second, false, "ratings      50 %  50,000 ratings  5,000/s  10s left"},
		{client.Progress{Phase: client.PhaseFilms, Rows: 10, Done: 25, Total: 100}, 0, time.Second, true, "films       [######..................]  25 %  10 films  10/s  3s left"},
		{client.Progress{Phase: client.PhaseIngest, Rows: 7, Done: 7, Total: 7}, 0, time.Second, true, "aggregating [########################] 100 %  7 ratings  7/s"},
		{client.Progress{Phase: client.PhaseRatings, Rows: 1, Done: 1, Total: 100}, 0, time.Second, false, "ratings       1 %  1 ratings  1/s"},
		{client.Progress{Phase: client.PhaseIngest, Rows: 60, Done: 60, Total: 100}, 40, 2 * time.Second, false, "aggregating  60 %  60 ratings  10/s  4s left"},
		{client.Progress{Phase: client.PhaseRatings}, 0, 0, false, "ratings       0 %  0 ratings"},
	} {
		first := client.Progress{Phase: tc.p.Phase, Rows: tc.from, Done: tc.from, Total: tc.p.Total}
		if got := progressText(first, tc.p, tc.took, tc.bar); got != tc.want {
			t.Errorf("%+v after %s:\n got %q\nwant %q", tc.p, tc.took, got, tc.want)
		}
	}
}

func ratingsDone(n int64) client.Progress {
	return client.Progress{Phase: client.PhaseRatings, Rows: n, Done: n, Total: 1000}
}

// TestProgressLines: without a terminal there is a line every two seconds and one at the end, and none for what is quick.
func TestProgressLines(t *testing.T) {
	var b bytes.Buffer
	v := newProgressView(&b)
	at := func(s float64) time.Time { return time.Unix(1_000_000, 0).Add(time.Duration(s * float64(time.Second))) }
	v.updateAt(client.Progress{Phase: client.PhaseFilms, Rows: 1, Done: 1, Total: 2}, at(0))
	v.updateAt(client.Progress{Phase: client.PhaseFilms, Rows: 2, Done: 2, Total: 2}, at(1))
	for _, s := range []float64{1.5, 2.5, 3.4, 3.6, 5.4} {
		v.updateAt(ratingsDone(int64(s*100)), at(s))
	}
	v.updateAt(ratingsDone(540), at(5.6))
	v.println("waiting for x")
	v.updateAt(ratingsDone(540), at(7.9)) // nothing moves: no line
	v.println("rejected: x")
	v.updateAt(ratingsDone(1000), at(8.5))
	v.updateAt(ratingsDone(1000), at(60)) // waiting for something else
	v.done()
	v.done()
	want := `ratings      36 %  360 ratings  100/s  6s left
ratings      54 %  540 ratings  95/s  5s left
waiting for x
rejected: x
ratings     100 %  1,000 ratings  121/s
`
	if b.String() != want {
		t.Errorf("got\n%swant\n%s", b.String(), want)
	}
}

// TestProgressBar: on a terminal there is one bar per phase, and other lines do not end up in it.
func TestProgressBar(t *testing.T) {
	var b bytes.Buffer
	v := newProgressView(&b)
	v.terminal = true
	now := time.Unix(1_000_000, 0)
	v.updateAt(ratingsDone(0), now)
	v.println("rejected: x")
	v.updateAt(ratingsDone(500), now.Add(time.Second))
	v.updateAt(client.Progress{Phase: client.PhaseIngest, Rows: 1, Done: 1, Total: 1}, now.Add(2*time.Second))
	v.done()
	const begin, end = "\r", "\x1b[K"
	want := begin + "ratings     [........................]   0 %  0 ratings" + end +
		begin + end + "rejected: x\n" +
		begin + "ratings     [############............]  50 %  500 ratings  500/s  1s left" + end + "\n" +
		begin + "aggregating [########################] 100 %  1 ratings" + end + "\n"
	if b.String() != want {
		t.Errorf("got\n%q\nwant\n%q", b.String(), want)
	}
}

func TestGrouped(t *testing.T) {
	for n, want := range map[int64]string{0: "0", 7: "7", 999: "999", 1000: "1,000", 123456: "123,456", 1234567: "1,234,567", -1: "-1", -100: "-100", -1000: "-1,000", -123456: "-123,456"} {
		if got := grouped(n); got != want {
			t.Errorf("grouped(%d) is %q, want %q", n, got, want)
		}
	}
}

func TestPrintable(t *testing.T) {
	for _, tc := range []struct {
		in    string
		limit int
		want  string
	}{
		{`{"a":"é"}`, 20, `{"a":"é"}`},
		{"", 20, "(empty)"},
		{"a\nb\x1b[2J", 20, `"a\nb\x1b[2J"`},
		{"\xff\xfe", 20, `"\xff\xfe"`},
		{strings.Repeat("a", 30), 10, "aaaaaaaaaa… (30 bytes)"},
		{strings.Repeat("é", 30), 11, "ééééé… (60 bytes)"},
		{strings.Repeat("\xff", 30), 10, `"\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff"… (30 bytes)`},
	} {
		if got := printable([]byte(tc.in), tc.limit); got != tc.want {
			t.Errorf("printable(%q, %d) is %s, want %s", tc.in, tc.limit, got, tc.want)
		}
	}
}
