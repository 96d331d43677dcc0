package telemetry_test

import (
	"runtime"
	"runtime/debug"
	"testing"

	"github.com/prometheus/client_golang/prometheus/testutil"

	"movieexample.com/internal/telemetry"
)

func TestBuildFrom(t *testing.T) {
	stamped := func() *debug.BuildInfo {
		return &debug.BuildInfo{
			GoVersion: "go1.26.7",
			Main:      debug.Module{Path: "movieexample.com", Version: "v1.2.3"},
			Settings: []debug.BuildSetting{
				{Key: "GOOS", Value: "plan9"},
				{Key: "GOARCH", Value: "arm64"},
				{Key: "vcs.revision", Value: "0123456789abcdef0123456789abcdef01234567"},
				{Key: "vcs.time", Value: "2026-11-23T05:00:00+01:00"},
				{Key: "vcs.modified", Value: "false"},
			},
		}
	}
	for name, row := range map[string]struct {
		change func(*debug.BuildInfo)
		want   string
	}{
		"release":        {func(*debug.BuildInfo) {}, "v1.2.3 (revision 0123456789ab, 2026-11-23, go1.26.7 plan9/arm64)"},
		"modified":       {func(i *debug.BuildInfo) { i.Settings[4].Value = "true" }, "v1.2.3 (revision 0123456789ab, 2026-11-23, modified, go1.26.7 plan9/arm64)"},
		"devel":          {func(i *debug.BuildInfo) { i.Main.Version = "(devel)" }, "devel (revision 0123456789ab, 2026-11-23, go1.26.7 plan9/arm64)"},
		"no version":     {func(i *debug.BuildInfo) { i.Main.Version = "" }, "devel (revision 0123456789ab, 2026-11-23, go1.26.7 plan9/arm64)"},
		"buildvcs off":   {func(i *debug.BuildInfo) { i.Settings = i.Settings[:2] }, "v1.2.3 (unknown revision, go1.26.7 plan9/arm64)"},
		"short revision": {func(i *debug.BuildInfo) { i.Settings[2].Value = "12ab" }, "v1.2.3 (revision 12ab, 2026-11-23, go1.26.7 plan9/arm64)"},
		"broken time":    {func(i *debug.BuildInfo) { i.Settings[3].Value = "yesterday" }, "v1.2.3 (revision 0123456789ab, go1.26.7 plan9/arm64)"},
		"nothing": {
			func(i *debug.BuildInfo) { *i = debug.BuildInfo{} },
			"devel (unknown revision, " + runtime.Version() + " " + runtime.GOOS + "/" + runtime.GOARCH + ")",
		},
	} {
		t.Run(name, func(t *testing.T) {
			info := stamped()
			row.change(info)
			if got := telemetry.BuildFrom(info).String(); got != row.want {
				t.Errorf("got  %s\nwant %s", got, row.want)
			}
		})
	}
}

func TestRegistry(t *testing.T) {
	reg := telemetry.NewRegistry()
	problems, err := testutil.GatherAndLint(reg, "movieexample_build_info")
	if err != nil || len(problems) > 0 {
		t.Errorf("lint: %v %v", problems, err)
	}
	families, err := reg.Gather()
	if err != nil {
		t.Fatal(err)
	}
	build := telemetry.BuildInfo()
	for _, f := range families {
		if f.GetName() != "movieexample_build_info" {
			continue
		}
		labels := map[string]string{}
		for _, l := range f.GetMetric()[0].GetLabel() {
			labels[l.GetName()] = l.GetValue()
		}
		if labels["version"] != build.Version || labels["revision"] != build.Revision || labels["go_version"] != build.GoVersion || len(labels) != 3 {
			t.Errorf("labels are %v, the build is %+v", labels, build)
		}
		if v := f.GetMetric()[0].GetGauge().GetValue(); v != 1 {
			t.Errorf("value is %v, want 1", v)
		}
		return
	}
	t.Error("there is no movieexample_build_info")
}
