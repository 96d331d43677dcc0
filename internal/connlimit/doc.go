// Package connlimit owns how many connections a process accepts.
//
// All listeners of a process share one [Limiter]. A listener has a limit in all and
// one per peer address; and the process as a whole stops short of its limit of file
// descriptors (RLIMIT_NOFILE), because databases, files and the listener for
// operators need some too. Descriptors are numbered from the lowest that is free, so
// the number of a connection's descriptor says how many the process had in use at
// least, whoever opened them; only when that is many they are counted.
//
// It promises that a newcomer is served. Where there is no room, the connection that
// has been silent for longest is closed, of those without any request answered so far
// where these are the more, otherwise of the others. Only where there is none to
// close, the newcomer is. So connections that an attacker holds open, or opens by the
// thousand, give way to those that are used.
//
// Connections of a reserved listener ([Listener].Reserved) are counted by themselves,
// are never closed to make room for others, and may use the descriptors that the
// others leave.
//
// Metrics, by listener: movieexample_server_connections, and movieexample_server_connections_evicted_total with
// the reason: listener (the limit in all), address (the limit per address) or
// descriptors.
package connlimit
