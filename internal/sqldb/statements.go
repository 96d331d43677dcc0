package sqldb

import (
	"container/list"
	"context"
	"database/sql/driver"
	"errors"
	"fmt"
)

// rawStmt has the methods that a connection needs of its driver's statements.
type rawStmt interface {
	driver.Stmt
	driver.StmtExecContext
	driver.StmtQueryContext
}

// statements are the prepared statements of one connection that are not in use, the last
// used first. A statement in use is not among them: drivers have one cursor, or one
// result, per statement.
type statements struct {
	max  int
	idle map[string]*list.Element // by text; values are idleStmt
	lru  *list.List               // front: used last
}

type idleStmt struct {
	query string
	stmt  rawStmt
}

func newStatements(limit int) *statements {
	return &statements{max: limit, idle: map[string]*list.Element{}, lru: list.New()}
}

// take returns a prepared statement for exclusive use until it is put back.
func (s *statements) take(ctx context.Context, conn driver.ConnPrepareContext, query string) (rawStmt, error) {
	if e, ok := s.idle[query]; ok {
		s.lru.Remove(e)
		delete(s.idle, query)
		return e.Value.(idleStmt).stmt, nil
	}
	prepared, err := conn.PrepareContext(ctx, query)
	if err != nil {
		return nil, err
	}
	stmt, ok := prepared.(rawStmt)
	if !ok {
		return nil, errors.Join(fmt.Errorf("driver: statement is a %T, which lacks a method", prepared), prepared.Close())
	}
	return stmt, nil
}

// put gives a statement back, and closes the one that was not used for longest if there
// are too many.
func (s *statements) put(query string, stmt rawStmt) error {
	if _, ok := s.idle[query]; ok {
		return stmt.Close() // the text was in use twice at the same time
	}
	s.idle[query] = s.lru.PushFront(idleStmt{query, stmt})
	if s.lru.Len() <= s.max {
		return nil
	}
	last := s.lru.Remove(s.lru.Back()).(idleStmt)
	delete(s.idle, last.query)
	return last.stmt.Close()
}

// close closes all of them.
func (s *statements) close() error {
	var errs []error
	for e := s.lru.Front(); e != nil; e = e.Next() {
		errs = append(errs, e.Value.(idleStmt).stmt.Close())
	}
	s.lru.Init()
	clear(s.idle)
	return errors.Join(errs...)
}
