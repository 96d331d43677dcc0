package sqldb

import (
	"context"
	"crypto/rand"
	"database/sql"
	"errors"
	"fmt"

	"github.com/google/uuid"
)

// Identity returns the random UUID that identifies this database. [DB.Migrate] creates it once,
// even if several processes migrate at the same time. It moves with the data: a copy or a restored backup has the identity of its
// source. It is "" for a database that was never migrated by a program that knows identities.
func (db *DB) Identity(ctx context.Context) (string, error) {
	if known := db.identity.Load(); known != nil {
		return *known, nil
	}
	id, err := db.readIdentity(ctx, db.readers)
	if err != nil {
		return "", db.explain(fmt.Errorf("read the identity of database %s: %w", db.name, err))
	}
	return id, nil
}

// readIdentity returns "" if there is none.
func (db *DB) readIdentity(ctx context.Context, pool *sql.DB) (id string, err error) {
	exists, err := db.hasTable(ctx, identityTable)
	if err != nil || !exists {
		return "", err
	}
	err = pool.QueryRowContext(ctx, "SELECT uuid FROM "+identityTable+" WHERE id = ?", identityRow).Scan(&id)
	if errors.Is(err, sql.ErrNoRows) {
		return "", nil
	}
	return id, err
}

// identify creates the identity if there is none. It is for the side that migrates, which holds the lock. If the table
// exists, the user needs no right to create tables.
func (db *DB) identify(ctx context.Context, pool *sql.DB) error {
	id, err := db.readIdentity(ctx, pool)
	if err == nil && id == "" {
		id, err = db.makeIdentity(ctx, pool)
	}
	if err != nil {
		return fmt.Errorf("give it an identity: %w", err)
	}
	db.identity.Store(&id)
	return nil
}

func (db *DB) makeIdentity(ctx context.Context, pool *sql.DB) (id string, err error) {
	made, err := uuid.NewRandomFromReader(rand.Reader)
	if err != nil {
		return "", err
	}
	text := "CREATE TABLE IF NOT EXISTS " + identityTable + " (id INTEGER PRIMARY KEY, uuid TEXT NOT NULL)"
	if db.dialect == MySQL {
		text = "CREATE TABLE IF NOT EXISTS " + identityTable + " (id BIGINT NOT NULL, uuid VARBINARY(64) NOT NULL, PRIMARY KEY (id)) ENGINE=InnoDB"
	}
	if _, err := pool.ExecContext(ctx, text); err != nil {
		return "", err
	}
	text = db.dialect.InsertIgnore(identityTable, []string{"id"}, []string{"uuid"}, 1)
	if _, err := pool.ExecContext(ctx, text, identityRow, made.String()); err != nil {
		return "", err
	}
	// An existing identity wins.
	err = pool.QueryRowContext(ctx, "SELECT uuid FROM "+identityTable+" WHERE id = ?", identityRow).Scan(&id)
	return id, err
}

// SetIdentity gives a finished copy the identity of its source, in the transaction that finishes it.
func (db *DB) SetIdentity(ctx context.Context, tx *Tx, id string) error {
	_, err := tx.ExecContext(ctx, tx.dialect.Upsert(identityTable, []string{"id"}, []string{"uuid"}, 1), identityRow, id)
	if err == nil {
		db.identity.Store(&id)
	}
	return err
}
