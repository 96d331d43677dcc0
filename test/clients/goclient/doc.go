// Package goclient is a Go client that oapi-codegen makes of the OpenAPI document: proof, used by the tests beside it, that an
// application developer can do the same. Programs of this repository do not use it.
package goclient
