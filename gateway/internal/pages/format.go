package pages

import (
	"math"
	"net/url"
	"strconv"
	"strings"
	"time"
	"unicode"
	"unicode/utf8"
)

// thousands writes a count with commas between the groups.
func thousands(n int) string {
	s := strconv.Itoa(n)
	for i := len(s) - 3; i > 0 && s[i-1] != '-'; i -= 3 {
		s = s[:i] + "," + s[i:]
	}
	return s
}

// plural is a count and its noun, in the singular or plural.
func plural(n int, one, many string) string {
	if n == 1 {
		return "1 " + one
	}
	return thousands(n) + " " + many
}

// decimal writes x with that many places.
func decimal(places int, x float64) string { return strconv.FormatFloat(x, 'f', places, 64) }

// percent is n of all in whole percent, rounded; "<1 %" where rounding would hide that there are some.
func percent(n int32, all int) string {
	if all <= 0 || n <= 0 {
		return "0 %"
	}
	if share := math.Round(100 * float64(n) / float64(all)); share >= 1 {
		return strconv.Itoa(int(share)) + " %"
	}
	return "<1 %"
}

func runtime(minutes int) string {
	if minutes < 60 {
		return strconv.Itoa(minutes) + " min"
	}
	return strconv.Itoa(minutes/60) + " h " + strconv.Itoa(minutes%60) + " min"
}

// minute writes a time for reading. It stops at the minute: a page that differs by seconds only could never be answered
// with "not modified".
func minute(t time.Time) string { return t.UTC().Format("2 January 2006, 15:04 UTC") }

// instant writes the same time for machines.
func instant(t time.Time) string { return t.UTC().Format("2006-01-02T15:04Z") }

func day(t time.Time) string  { return t.UTC().Format("2 Jan 2006") }
func date(t time.Time) string { return t.UTC().Format("2006-01-02") }

func filmHref(id string) string { return "/movies/" + url.PathEscape(id) }

// posterSuffix is what the address of a film's poster adds to the film's.
const posterSuffix = "/poster.svg"

func posterHref(id string) string   { return filmHref(id) + posterSuffix }
func personHref(id string) string   { return "/users/" + url.PathEscape(id) }
func searchHref(text string) string { return "/search?q=" + url.QueryEscape(text) }
func genreHref(g string) string     { return chartHref("top", filter{Genre: g}, "") }

// decadeHref leads to the chart that one rating is enough to be in: of a decade with few films the others may be empty.
func decadeHref(d int) string { return chartHref("popular", filter{Decade: d, HasDecade: true}, "") }

// paragraphs splits a text at its empty lines.
func paragraphs(s string) []string { return strings.Split(strings.TrimSpace(s), "\n\n") }

// chartHref and findHref are the addresses of a chart and of a search, with this filter and page token.
func chartHref(name string, f filter, token string) string {
	return withQuery("/charts/"+name, f, token)
}

func findHref(text string, f filter, token string) string {
	return withQuery("/search?q="+url.QueryEscape(text), f, token)
}

func withQuery(address string, f filter, token string) string {
	var b strings.Builder
	b.WriteString(address)
	sep := byte('?')
	if strings.IndexByte(address, '?') >= 0 {
		sep = '&'
	}
	add := func(name, value string) {
		b.WriteByte(sep)
		b.WriteString(name)
		b.WriteByte('=')
		b.WriteString(url.QueryEscape(value))
		sep = '&'
	}
	if f.Genre != "" {
		add("genre", f.Genre)
	}
	if f.HasDecade {
		add("decade", strconv.Itoa(f.Decade))
	}
	if token != "" {
		add("page_token", token)
	}
	return b.String()
}

// long reports whether a title needs a smaller size to fit beside its poster.
func long(title string) bool { return len(title) > 28 }

// people splits the names of several directors.
func people(names string) []string {
	var list []string
	for name := range strings.SplitSeq(names, ", ") {
		if name = strings.TrimSpace(name); name != "" {
			list = append(list, name)
		}
	}
	return list
}

func titleWithYear(f *film) string {
	if f.Year == 0 {
		return f.Title
	}
	return f.Title + " (" + decimal(0, float64(f.Year)) + ")"
}

// shortened bounds a text that a client chose.
func shortened(s string) string {
	const limit = 100
	s = strings.ToValidUTF8(s, "\uFFFD")
	if utf8.RuneCountInString(s) <= limit {
		return s
	}
	return string([]rune(s)[:limit]) + "…"
}

// sentence makes a sentence of a message, which starts with a small letter and ends without a full stop.
func sentence(s string) string {
	r, n := utf8.DecodeRuneInString(s)
	if n == 0 {
		return ""
	}
	s = string(unicode.ToUpper(r)) + s[n:]
	if !strings.HasSuffix(s, ".") {
		s += "."
	}
	return s
}
