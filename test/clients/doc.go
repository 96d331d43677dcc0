// Package clients holds the promise of the OpenAPI document against the running system: every example in it is what the system
// answers, every answer is what its schema says, and clients that existing generators make of it work without another explanation.
//
// The Go client and the examples are in the default go test. The linter, the TypeScript client and the compiler for it come from npm:
// test/clients/run installs what the lock file pins and runs them, and is part of make test-servers.
package clients
