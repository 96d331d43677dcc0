package main

import (
	"fmt"
	"io"
	"os"
	"strings"
	"sync"
	"time"

	"github.com/mattn/go-isatty"

	"movieexample.com/client"
)

// progressView shows the progress of a load on standard error: as a bar on a terminal, as a line every two seconds elsewhere. Other
// lines go through println, so that they do not mix with the bar.
type progressView struct {
	mu       sync.Mutex
	w        io.Writer
	terminal bool
	drawn    bool // the current line has a bar

	phase   client.Phase
	began   time.Time       // of the phase
	full    time.Time       // when all of it was done; the phase may last longer
	printed time.Time       // last line, without a bar
	shown   bool            // something was printed about this phase
	said    client.Progress // the progress that the last line showed
	first   client.Progress
	last    client.Progress
	took    time.Duration // until last
}

// lineInterval is how often a line is printed without a terminal.
const lineInterval = 2 * time.Second

func newProgressView(w io.Writer) *progressView {
	v := &progressView{w: w}
	if f, ok := w.(*os.File); ok {
		v.terminal = isatty.IsTerminal(f.Fd()) && os.Getenv("TERM") != "dumb"
	}
	return v
}

// update shows the progress; it is the Progress function of package client.
func (v *progressView) update(p client.Progress) { v.updateAt(p, time.Now()) }

func (v *progressView) updateAt(p client.Progress, now time.Time) {
	v.mu.Lock()
	defer v.mu.Unlock()
	if p.Phase != v.phase {
		v.end()
		v.first = p
		v.phase, v.began, v.full, v.printed, v.shown = p.Phase, now, time.Time{}, now, false
	}
	v.last, v.took = p, now.Sub(v.began)
	if p.Done >= p.Total {
		if v.full.IsZero() {
			v.full = now
		}
		v.took = v.full.Sub(v.began) // waiting after that says nothing about the speed
	}
	if v.terminal {
		fmt.Fprintf(v.w, "\r%s\x1b[K", progressText(v.first, p, v.took, true))
		v.drawn, v.shown = true, true
		return
	}
	if now.Sub(v.printed) >= lineInterval {
		v.printed, v.shown = now, true
		v.line()
	}
}

// line prints the progress of the phase, unless it has not changed since the previous line.
func (v *progressView) line() {
	if v.last != v.said {
		v.said = v.last
		fmt.Fprintln(v.w, progressText(v.first, v.last, v.took, false))
	}
}

// end ends the phase: the bar stays, and the next text starts on a new line.
func (v *progressView) end() {
	switch {
	case v.drawn:
		fmt.Fprintln(v.w)
	case v.shown:
		v.line()
	}
	v.drawn, v.shown = false, false
}

// done ends the view.
func (v *progressView) done() {
	v.mu.Lock()
	defer v.mu.Unlock()
	v.end()
	v.phase = ""
}

// println prints a line above the bar.
func (v *progressView) println(text string) {
	v.mu.Lock()
	defer v.mu.Unlock()
	if v.drawn {
		fmt.Fprint(v.w, "\r\x1b[K")
		v.drawn = false
	}
	fmt.Fprintln(v.w, text)
}

// progressText is one line: what is done, how much of it, how fast, and the time left. first is the first progress of the phase,
// which may start above zero, because ratings are aggregated while others are still read.
func progressText(first, p client.Progress, took time.Duration, bar bool) string {
	what, noun := "aggregating", "ratings"
	switch p.Phase {
	case client.PhaseRead:
		what, noun = "reading", "rows"
	case client.PhaseWrite:
		what, noun = "writing", "rows"
	case client.PhaseCopy:
		what, noun = "copying", "rows"
	case client.PhaseVerify:
		what, noun = "verifying", "rows"
	case client.PhaseFilms:
		what, noun = "films", "films"
	case client.PhaseRatings:
		what = "ratings"
	}
	done := share(p)
	var b strings.Builder
	fmt.Fprintf(&b, "%-11s", what)
	if bar {
		const width = 24
		full := int(done * width)
		fmt.Fprintf(&b, " [%s%s]", strings.Repeat("#", full), strings.Repeat(".", width-full))
	}
	fmt.Fprintf(&b, " %3.0f %%  %s %s", done*100, grouped(p.Rows), noun)
	rows, gained := p.Rows-first.Rows, done-share(first)
	if s := took.Seconds(); s >= 0.1 && rows > 0 {
		fmt.Fprintf(&b, "  %s/s", grouped(int64(float64(rows)/s)))
		// Before a twentieth is done, an estimate is worthless.
		if gained >= 0.05 && done < 1 {
			left := time.Duration((1 - done) / gained * float64(took))
			fmt.Fprintf(&b, "  %s left", max(left.Round(time.Second), time.Second))
		}
	}
	return b.String()
}

// share is how much of the phase is done, 0 to 1.
func share(p client.Progress) float64 {
	if p.Total <= 0 {
		return 0
	}
	return min(float64(p.Done)/float64(p.Total), 1)
}
