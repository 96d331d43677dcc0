package loadtest_test

import (
	"os"
	"testing"

	"movieexample.com/internal/kafka"
)

func TestMain(m *testing.M) {
	if kafka.IsBrokerProcess() {
		os.Exit(kafka.RunBrokerProcess())
	}
	os.Exit(m.Run())
}
