// Package servers holds the tests that need real programs of others. They are built with the tag "servers" and run by
// `make test-servers`, which installs what they need; they fail, and never skip, when something is missing.
package servers
