package telemetry

import (
	"fmt"
	"runtime"
	"runtime/debug"
	"strings"
	"time"
)

// unknown is shown if the tool chain recorded nothing, because an empty field would look like a bug.
const unknown = "unknown"

// version is set by the linker (see the Makefile) for builds in which the Go tool chain knows none.
var version string

// Build is what the Go tool chain recorded in the binary. Revision, Time and Modified are there only when it was built inside a
// checkout and not with -buildvcs=false.
type Build struct {
	Version   string    `json:"version"`            // module version: "v1.2.3", a pseudo-version, or "devel"
	Revision  string    `json:"revision"`           // commit, or "unknown"
	Time      time.Time `json:"time,omitzero"`      // of the commit, UTC; zero when unknown
	Modified  bool      `json:"modified,omitempty"` // the checkout had changes that were not committed
	GoVersion string    `json:"goVersion"`          // "go1.26.7"
	Platform  string    `json:"platform"`           // "linux/amd64"
}

// BuildInfo describes the running binary. It reads the tool chain's stamp, which no build script can forget to set, and, if that is
// empty, the values that the Makefile passed to the linker.
func BuildInfo() Build {
	info, ok := debug.ReadBuildInfo()
	if !ok {
		info = &debug.BuildInfo{}
	}
	b := BuildFrom(info)
	if b.Version == "devel" && version != "" {
		b.Version = version
	}
	return b
}

// BuildFrom picks the facts out of a build record; debug/buildinfo can read one from any Go binary on disk.
func BuildFrom(info *debug.BuildInfo) Build {
	b := Build{Version: info.Main.Version, Revision: unknown, GoVersion: info.GoVersion}
	if b.Version == "" || b.Version == "(devel)" {
		b.Version = "devel"
	}
	if b.GoVersion == "" {
		b.GoVersion = runtime.Version()
	}
	goos, goarch := runtime.GOOS, runtime.GOARCH
	for _, s := range info.Settings {
		switch s.Key {
		case "vcs.revision":
			b.Revision = s.Value
		case "vcs.time":
			if t, err := time.Parse(time.RFC3339, s.Value); err == nil {
				b.Time = t.UTC()
			}
		case "vcs.modified":
			b.Modified = s.Value == "true"
		case "GOOS":
			goos = s.Value
		case "GOARCH":
			goarch = s.Value
		}
	}
	b.Platform = goos + "/" + goarch
	return b
}

// String is the answer to --version, without the program's name: "v1.2.3 (revision 0123456789ab, 2026-11-23, modified, go1.26.7 linux/amd64)".
func (b Build) String() string {
	revision := b.Revision
	if len(revision) > 12 {
		revision = revision[:12]
	}
	facts := []string{"revision " + revision}
	if b.Revision == unknown {
		facts[0] = "unknown revision"
	}
	if !b.Time.IsZero() {
		facts = append(facts, b.Time.Format(time.DateOnly))
	}
	if b.Modified {
		facts = append(facts, "modified")
	}
	facts = append(facts, b.GoVersion+" "+b.Platform)
	return fmt.Sprintf("%s (%s)", b.Version, strings.Join(facts, ", "))
}
