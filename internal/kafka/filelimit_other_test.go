//go:build !unix

package kafka_test

// lowerFileLimit: there is no such limit here, and no test that asks for one.
func lowerFileLimit() {}
