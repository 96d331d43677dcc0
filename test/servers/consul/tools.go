//go:build tools

// Package tools is a separate module: it pins the Consul that the tests run against, and
// its go.sum checks what is downloaded to build it.
package tools

import _ "github.com/hashicorp/consul"
