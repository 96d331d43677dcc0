// Package connlimit bounds the connections that a process accepts.
//
// All listeners of a process share one [Limiter]. Each listener has a limit in total and one per peer address. The process as a whole
// stays below its limit of file descriptors (RLIMIT_NOFILE), because databases, files and the admin listener need some too. The system
// assigns the lowest free descriptor, so a high number shows that many are in use; only then they are counted.
//
// A new connection is accepted. If a limit is reached, the connection that was silent longest is evicted. Connections without any
// answered request and those with one each have half of the room, so neither group can push out the other. Only if there is none to
// evict, the new connection is closed. Connections that an attacker holds open or opens by the thousand thus give way to those in use.
//
// Connections of a reserved listener ([Listener].Reserved) are counted separately, are never evicted, and may use the reserve of
// descriptors.
//
// Metrics, by listener: movieexample_server_connections, and movieexample_server_connections_evicted_total with the reason: listener
// (the limit in total), address (the limit per address) or descriptors.
package connlimit
