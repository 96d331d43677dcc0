package sqldb

import (
	"crypto/tls"
	"database/sql/driver"
	"errors"
	"fmt"
	"io"
	"net"
	"regexp"
	"strings"
	"time"

	"github.com/go-sql-driver/mysql"
)

// Error numbers of MySQL and MariaDB. They agree below 1900; above that, the numbers
// differ (https://mariadb.com/kb/en/mariadb-error-code-reference/,
// https://dev.mysql.com/doc/mysql-errors/8.0/en/server-error-reference.html).
const (
	erDiskFull              = 1021
	erDupKey                = 1022
	erErrorOnWrite          = 1026
	erGetErrno              = 1030
	erNotKeyfile            = 1034
	erOldKeyfile            = 1035
	erTooManyConnections    = 1040
	erDBAccessDenied        = 1044
	erAccessDenied          = 1045
	erUnknownDatabase       = 1049
	erTableExists           = 1050
	erServerShutdown        = 1053
	erDupFieldname          = 1060
	erDupKeyname            = 1061
	erDupEntry              = 1062
	erNormalShutdown        = 1077
	erShutdownComplete      = 1079
	erCantDropFieldOrKey    = 1091
	erRecordFileFull        = 1114
	erHostIsBlocked         = 1129
	erHostNotPrivileged     = 1130
	erTableAccessDenied     = 1142
	erColumnAccessDenied    = 1143
	erNewAbortingConnection = 1184
	erCrashedOnUsage        = 1194
	erCrashedOnRepair       = 1195
	erTooManyUserConns      = 1203
	erLockWaitTimeout       = 1205
	erLockDeadlock          = 1213
	erSpecificAccessDenied  = 1227
	erUnknownStmtHandler    = 1243
	erOptionPrevents        = 1290
	erQueryInterrupted      = 1317
	erNoDefaultForField     = 1364
	erTruncatedWrongValue   = 1366
	erWarnDataTruncated     = 1265
	erMaxPreparedStatements = 1461
	erDupEntryWithKeyName   = 1586
	erNeedReprepare         = 1615
	erAccessDeniedNoPasswd  = 1698
	erIndexCorrupt          = 1712
	erReadOnlyTransaction   = 1792
	erReadOnlyMode          = 1836
	erTableCorrupt          = 1877
	erConnectionKilled      = 1927 // MariaDB
	erNoSuchTableInEngine   = 1932
	erStatementTimeout      = 1969 // MariaDB
	erQueryTimeout          = 3024 // MySQL
	erClientInteraction     = 4031 // MySQL: the server closed an idle connection
	erCheckMySQL            = 3819
	eeWrite                 = 3 // of the server's file layer
	eeDiskFull              = 20
)

// mysqlError returns the server's error number and SQL state, or 0 if err is not an answer
// of a MySQL server.
func mysqlError(err error) (number int, state string) {
	if e := (*mysql.MySQLError)(nil); errors.As(err, &e) {
		return int(e.Number), string(e.SQLState[:])
	}
	return 0, ""
}

func mysqlMessage(err error) string {
	if e := (*mysql.MySQLError)(nil); errors.As(err, &e) {
		return e.Message
	}
	return ""
}

// mysqlStatementOnly reports whether the error is about the statement alone, so that the
// transaction around it continues: its SQL state is one of the classes 22 (data), 23
// (constraints) and 42 (syntax, names, rights), or it is one of those that have the
// general state for historical reasons.
func mysqlStatementOnly(number int, state string) bool {
	switch number {
	case erTooManyUserConns, erMaxPreparedStatements: // in class 42
		return false
	case erNoDefaultForField, erTruncatedWrongValue, erWarnDataTruncated, erCheckMySQL,
		erOptionPrevents, erReadOnlyTransaction, erReadOnlyMode:
		return true
	}
	switch state[:min(2, len(state))] {
	case "22", "23", "42":
		return true
	}
	return false
}

func mysqlTransient(err error) bool {
	number, _ := mysqlError(err)
	switch number {
	case erLockDeadlock, erLockWaitTimeout, erQueryInterrupted, erStatementTimeout, erQueryTimeout,
		erNeedReprepare, erUnknownStmtHandler, erMaxPreparedStatements:
		return true
	}
	return mysqlLost(err)
}

// mysqlLost reports whether the server was not reached, or the connection is gone.
func mysqlLost(err error) bool {
	switch number, _ := mysqlError(err); number {
	case 0:
	case erTooManyConnections, erTooManyUserConns, erServerShutdown, erNewAbortingConnection,
		erConnectionKilled, erClientInteraction:
		return true
	default:
		return number >= erNormalShutdown && number <= erShutdownComplete
	}
	if errors.Is(err, mysql.ErrInvalidConn) || errors.Is(err, errNoAnswer) {
		return true
	}
	if op := (*net.OpError)(nil); errors.As(err, &op) {
		// crypto/tls reports an alert as an "operation" of the peer: that is no loss.
		return op.Op != "remote error" && op.Op != "local error"
	}
	return false
}

func mysqlFull(err error) bool {
	switch number, _ := mysqlError(err); number {
	case erDiskFull, erRecordFileFull, eeDiskFull:
		return true
	case eeWrite, erErrorOnWrite, erGetErrno:
		return strings.Contains(mysqlMessage(err), "No space left") || strings.Contains(mysqlMessage(err), "rror 28")
	}
	return false
}

func mysqlDuplicate(err error) bool {
	switch number, _ := mysqlError(err); number {
	case erDupEntry, erDupKey, erDupEntryWithKeyName:
		return true
	}
	return false
}

// mysqlReadOnlyServer reports whether the server is read-only.
func mysqlReadOnlyServer(err error) bool {
	switch number, _ := mysqlError(err); number {
	case erReadOnlyMode:
		return true
	case erOptionPrevents: // any option
		return strings.Contains(strings.ReplaceAll(mysqlMessage(err), "_", "-"), "read-only")
	}
	return false
}

func mysqlReadOnly(err error) bool {
	number, _ := mysqlError(err)
	return number == erReadOnlyTransaction || mysqlReadOnlyServer(err)
}

func mysqlCorrupt(err error) bool {
	switch number, _ := mysqlError(err); number {
	case erNotKeyfile, erOldKeyfile, erCrashedOnUsage, erCrashedOnRepair, erIndexCorrupt, erTableCorrupt, erNoSuchTableInEngine:
		return true
	}
	return false
}

// mysqlHint is what an operator has to do about err, or "".
func mysqlHint(server *mysqlServer, err error) string {
	number, _ := mysqlError(err)
	switch {
	case mysqlLoginRefused(err):
		return "the server refuses the user or the password: check both; a password file is read again with every new connection"
	case mysqlFull(err):
		return "the server's disk is full: free space there and retry; nothing stored so far is lost"
	case mysqlCorrupt(err):
		return "the server reports a damaged table: run CHECK TABLE there, and restore a backup if it is not repaired"
	case mysqlReadOnlyServer(err):
		return "the server is read-only: name the primary server, or end its read_only mode"
	case number == erTooManyConnections, number == erTooManyUserConns:
		return "the server has no connection left: raise its max_connections, or lower write_conns and read_conns of its clients"
	case Forbidden(err):
		return lackedRight(server, err)
	}
	return ""
}

// deniedCommand is how the server begins to say which right is missing, on what.
var deniedCommand = regexp.MustCompile(`^([A-Z][A-Z ,]*) command denied to user .* for (?:table|column) (.+)$`)

// lackedRight names the right that a statement lacked if the server says it, and otherwise all that are needed.
func lackedRight(server *mysqlServer, err error) string {
	database, user := "the database", "the user"
	if server != nil {
		database, user = "`"+server.database+"`.*", "'"+server.user+"'@'HOST'"
	}
	if m := deniedCommand.FindStringSubmatch(mysqlMessage(err)); m != nil {
		return fmt.Sprintf("the user lacks the right %s on %s: GRANT %s ON %s TO %s", m[1], m[2], m[1], database, user)
	}
	return fmt.Sprintf("the user has no rights on the database, or it does not exist: GRANT %s ON %s TO %s", strings.Join(Rights(), ", "), database, user)
}

// mysqlLoginRefused reports whether the server refuses the user or the password.
func mysqlLoginRefused(err error) bool {
	switch number, _ := mysqlError(err); number {
	case erAccessDenied, erAccessDeniedNoPasswd:
		return true
	}
	return false
}

// explainMySQLOpen explains why a database cannot be opened.
func explainMySQLOpen(server *mysqlServer, err error) error {
	wrap := func(what string) error { return fmt.Errorf("open database %s: %s: %w", server.name(), what, err) }
	number, _ := mysqlError(err)
	switch number {
	case erAccessDenied, erAccessDeniedNoPasswd:
		return wrap("the server refuses the user or the password: check both, and that the user may come from this host")
	case erUnknownDatabase:
		return wrap("the server has no database " + server.database + ": create it with CREATE DATABASE " + server.database)
	case erDBAccessDenied:
		return wrap("the user has no rights on the database, or it does not exist: GRANT " +
			strings.Join(Rights(), ", ") + " ON " + server.database + ".* TO the user")
	case erHostNotPrivileged:
		return wrap("the server accepts no user from this host: create the user for it, as in 'user'@'%'")
	case erHostIsBlocked:
		return wrap("the server blocks this host after too many failed connections: run FLUSH HOSTS there")
	}
	certificate := (*tls.CertificateVerificationError)(nil)
	dns := (*net.DNSError)(nil)
	op := (*net.OpError)(nil)
	switch {
	case errors.Is(err, mysql.ErrNoTLS):
		return wrap("the server has no TLS: set it up there, or use tls=preferred or tls=false")
	case errors.As(err, &certificate):
		return wrap("the server's certificate is not trusted: name the authority's certificate with tls_ca")
	case errors.As(err, &dns):
		return wrap("the host " + server.host + " has no address: check the name")
	case errors.As(err, &op) && op.Op == "dial":
		return wrap("no server can be reached at " + server.addr() + ": check host, port and network, and that the server runs")
	case errors.Is(err, errNoAnswer):
		return wrap("the server at " + server.addr() + " accepts connections, but does not answer")
	case errors.Is(err, mysql.ErrInvalidConn), errors.Is(err, driver.ErrBadConn), errors.Is(err, io.EOF):
		return wrap("what listens at " + server.addr() + " ended the connection: is it a MySQL server that is up?")
	}
	if hint := mysqlHint(server, err); hint != "" {
		return wrap(hint)
	}
	return fmt.Errorf("open database %s: %w", server.name(), err)
}

// Forbidden reports whether a MySQL server refused a statement because its user lacks a right on the database. To Migrate it
// means that another user has to do it, who has the right.
func Forbidden(err error) bool {
	switch number, _ := mysqlError(err); number {
	case erTableAccessDenied, erColumnAccessDenied, erSpecificAccessDenied, erDBAccessDenied:
		return true
	}
	return false
}

// Rights are the rights that a user needs on a MySQL database whose schema this program migrates:
// GRANT them ON the database alone. Migrations drop nothing, and neither does the user.
func Rights() []string {
	return []string{"SELECT", "INSERT", "UPDATE", "DELETE", "CREATE", "ALTER", "INDEX"}
}

// openTimeout bounds Open where its context does not.
const openTimeout = 15 * time.Second

// errNoAnswer is the end of Open's own bound on the wait for a server that accepts
// connections and says nothing.
var errNoAnswer = errors.New("no answer within " + openTimeout.String())
