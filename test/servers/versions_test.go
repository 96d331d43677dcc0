//go:build linux

package servers_test

import (
	"os"
	"strings"
	"testing"

	"movieexample.com/test/servers"
)

// TestVersions holds the versions that the package looks for to those that install puts there.
func TestVersions(t *testing.T) {
	for file, want := range map[string]string{
		"kafka/pom.xml": "<kafka.version>" + servers.KafkaVersion + "</kafka.version>",
		"consul/go.mod": "github.com/hashicorp/consul v" + servers.ConsulVersion,
	} {
		text, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		if !strings.Contains(string(text), want) {
			t.Errorf("%s does not have %s", file, want)
		}
	}
}
