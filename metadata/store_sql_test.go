package metadata_test

import (
	"testing"

	"movieexample.com/internal/sqldb/sqltest"
	"movieexample.com/metadata"
)

// Both engines have the same tables, and all engines of design 6.2 understand the store's statements.
func TestSchemaIsTheSameOnEveryEngine(t *testing.T) { sqltest.CheckSchema(t, metadata.Schema()) }

func TestStatementsArePortable(t *testing.T) { sqltest.CheckStatements(t, ".", 20) }
