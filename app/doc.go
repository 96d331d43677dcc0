// Package app is the composition root: the only package that sees every service.
//
// The table in services.go says which services there are, what each calls and how each is built; everything else here
// runs on it. A process runs all of them or some. A service gets one connection per service that it calls and never
// learns whether that leads to the same process (no sockets, no encoding) or to another one.
//
// New builds and listens, Run serves until its context ends and then stops everything in the reverse order of building.
package app
