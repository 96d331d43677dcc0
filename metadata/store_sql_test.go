package metadata_test

import (
	"testing"

	"movieexample.com/internal/sqldb/sqltest"
	"movieexample.com/metadata"
)

// Both engines get the same tables, and everything the store says to them is understood by all that design 6.2 names.
func TestSchemaIsTheSameOnEveryEngine(t *testing.T) { sqltest.CheckSchema(t, metadata.Schema()) }

func TestStatementsArePortable(t *testing.T) { sqltest.CheckStatements(t, ".", 20) }
