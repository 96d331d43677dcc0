package sqldb

import (
	"database/sql/driver"
	"log/slog"
	"time"
)

// Options tunes a [DB]. The zero value is right for production.
type Options struct {
	// ReadConns bounds the connections that read at the same time. Zero means, for
	// SQLite, twice GOMAXPROCS, at least 4: a read is CPU bound once its pages are
	// cached, and each connection has its own page cache. For MySQL it means 16.
	// URL parameter: read_conns.
	ReadConns int

	// WriteConns bounds the transactions that write at the same time, on MySQL. Zero
	// means 16: with as many readers, two processes of each of two services fit into the
	// 151 connections that a server allows by default. SQLite always has one writer.
	// URL parameter: write_conns.
	WriteConns int

	// BusyTimeout is how long a statement waits for a lock that another process
	// (on MySQL: another transaction) holds before it fails with an error that is
	// [Transient]. Zero means 5 s. Writers of this process do not wait here for an
	// SQLite file, but in [DB.Write]. MySQL counts in seconds: it is rounded up.
	// URL parameter: lock_timeout.
	BusyTimeout time.Duration

	// The fields from here to WriteTimeout are for MySQL only.

	// ConnLifetime is how long a connection is used. Zero means 30 minutes: after a
	// fail-over the connections move to the name's new address, and a server's session
	// memory is freed. URL parameter: conn_lifetime.
	ConnLifetime time.Duration

	// ConnIdleTime is how long a connection is kept unused. Zero means 5 minutes, less
	// than the time after which load balancers forget one. URL parameter: conn_idle_time.
	ConnIdleTime time.Duration

	// DialTimeout bounds making a TCP connection. Zero means 7 s, in which a lost
	// packet is repeated three times. URL parameter: dial_timeout.
	DialTimeout time.Duration

	// ReadTimeout bounds the wait for the server's answer to statements without a
	// context: above all COMMIT, whose outcome is unknown after a timeout. Zero means 1 minute.
	// Migrations are not bounded by it. URL parameter: read_timeout.
	ReadTimeout time.Duration

	// RereadURL, where set, is called when the server refuses user and password: it returns the current URL, so that a
	// password can be replaced without a restart. The rest of the URL must not change. It must be safe for concurrent use.
	RereadURL func() (string, error)

	// WriteTimeout bounds how long the server may take no bytes. Zero means 30 s.
	// URL parameter: write_timeout.
	WriteTimeout time.Duration

	// Logger gets one line per applied migration and the rare warnings.
	// Nil discards them.
	Logger *slog.Logger

	// Wrap, where set, stands between database/sql and the driver. Tests inject
	// faults with it (see package faultdriver). It is called once for the writing
	// and once for the reading side, and for MySQL on each Migrate; the connector of
	// the reading side has a method ReadOnly() bool that answers true.
	Wrap func(driver.Connector) driver.Connector
}

const (
	defaultBusyTimeout = 5 * time.Second
	// closeTimeout bounds how long Close waits for a write in progress.
	closeTimeout = 10 * time.Second
)

func fill[T int | time.Duration](v *T, zero T) {
	if *v <= 0 {
		*v = zero
	}
}
