package sqltest

import (
	"strings"
	"testing"
	"testing/fstest"
)

// Every rule finds the text that breaks it, and no text breaks more rules than it has to: most are portable but for one
// thing.
func TestEveryRuleFindsItsSample(t *testing.T) {
	for _, r := range statementRules() {
		s, err := tokens(r.sample)
		if err != nil {
			t.Errorf("%s: %v", r.name, err)
		} else if !r.found(s) {
			t.Errorf("%q does not find %s", r.name, r.sample)
		}
	}
}

func TestPortableTextsAreAccepted(t *testing.T) {
	for _, text := range []string{
		"SELECT a, COUNT(*), SUM(CASE b WHEN 1 THEN 1 ELSE 0 END) FROM t WHERE a > ? AND (b < ? OR (b = ? AND c < ?)) GROUP BY a ORDER BY a LIMIT ?",
		"SELECT m.a, COALESCE(v.b, 0) FROM m LEFT JOIN v ON v.a = m.a WHERE m.a IN (?, ?) AND INSTR(m.c, ?) > 0",
		"INSERT INTO t (a, b) VALUES (?, 'it is - / || not an operator')",
		"UPDATE t SET a = a + 1 WHERE b = ?",
		" AND year >= ? AND year <= ?",
		"SELECT " + hole + " FROM t WHERE " + hole,
	} {
		if wrong := Portable(text); len(wrong) != 0 {
			t.Errorf("%s\n\t%q", text, wrong)
		}
	}
	for _, text := range []string{"SELECT 'open", "SELECT /*! HINT */ a FROM t", `SELECT 'a\'`} {
		if Portable(text) == nil {
			t.Errorf("%s is accepted", text)
		}
	}
}

// What is put together of constants is found, and so is a part of a text whose rest no one knows.
func TestStatementsAreFoundInSource(t *testing.T) {
	found, err := statements("testdata/store")
	if err != nil {
		t.Fatal(err)
	}
	var texts, wrong []string
	for _, s := range found {
		texts = append(texts, s.text)
		wrong = append(wrong, Portable(s.text)...)
	}
	for _, want := range []string{
		"SELECT a, b FROM t WHERE a = ? " + hole,
		" AND a LIKE ?",
		"SELECT " + "*" + " FROM t",
	} {
		if !strings.Contains(strings.Join(texts, "\n")+"\n", want+"\n") {
			t.Errorf("%q is not among %q", want, texts)
		}
	}
	if len(wrong) != 2 {
		t.Errorf("found %q, want two rules to be broken", wrong)
	}
}

func TestSchemaFaults(t *testing.T) {
	const (
		lite = "-- +goose Up\nCREATE TABLE t (a VARCHAR(9) NOT NULL, b BIGINT, PRIMARY KEY (a));\nCREATE INDEX by_b ON t (b, a);\n" +
			"INSERT INTO t (a) VALUES ('x');\n-- +goose Down\nDROP TABLE t;\n"
		engine = " ENGINE = InnoDB DEFAULT CHARSET = utf8mb4 COLLATE = utf8mb4_bin"
		my     = "-- +goose Up\nCREATE TABLE IF NOT EXISTS t (a VARBINARY(9) NOT NULL, b BIGINT, PRIMARY KEY (a), INDEX by_b (b, a))" + engine + ";\n" +
			"INSERT INTO t (a) VALUES ('x') ON DUPLICATE KEY UPDATE a = VALUES(a);\n"
	)
	for name, c := range map[string]struct{ old, new, want string }{
		"the same":           {"", "", ""},
		"column missing":     {", b BIGINT,", ",", "the columns are not the same"},
		"column type":        {"b BIGINT", "b VARBINARY(8)", "column b is BIGINT on sqlite"},
		"narrower integer":   {"b BIGINT", "b INTEGER", "column b is BIGINT on sqlite and INTEGER"},
		"column length":      {"VARBINARY(9)", "VARBINARY(8)", "column a holds 9 on sqlite and 8 on mysql"},
		"nullable":           {"VARBINARY(9) NOT NULL", "VARBINARY(9)", "column a may be NULL"},
		"index missing":      {", INDEX by_b (b, a)", "", "the keys are not the same"},
		"index columns":      {"by_b (b, a)", "by_b (a, b)", "the keys are not the same"},
		"primary key":        {"PRIMARY KEY (a)", "PRIMARY KEY (a, b)", "the keys are not the same"},
		"key compared":       {"VARBINARY(9)", "VARCHAR(9)", "is not compared byte by byte"},
		"key too long":       {"VARBINARY(9)", "VARBINARY(3070)", "bytes, more than 3072"},
		"not repeatable":     {"TABLE IF NOT EXISTS", "TABLE", "must be CREATE TABLE IF NOT EXISTS"},
		"engine":             {"InnoDB", "MyISAM", "must be CREATE TABLE IF NOT EXISTS … ENGINE = InnoDB"},
		"collation":          {"utf8mb4_bin", "utf8mb4_general_ci", "COLLATE = utf8mb4_bin"},
		"insert again":       {" ON DUPLICATE KEY UPDATE a = VALUES(a)", "", "must be repeatable"},
		"index apart":        {"\nINSERT", "\nCREATE INDEX x ON t (b);\nINSERT", "MySQL cannot repeat CREATE INDEX"},
		"auto-increment":     {"b BIGINT", "b BIGINT AUTO_INCREMENT", "auto-increment"},
		"foreign key":        {"PRIMARY KEY (a)", "PRIMARY KEY (a), FOREIGN KEY (b) REFERENCES u (b)", "foreign keys"},
		"trigger":            {"\nINSERT", "\nCREATE TRIGGER x AFTER INSERT ON t;\nINSERT", "triggers"},
		"view":               {"\nINSERT", "\nCREATE VIEW v AS SELECT a FROM t;\nINSERT", "views"},
		"something else":     {"\nINSERT", "\nALTER TABLE t RENAME TO u;\nINSERT", "does not know such statements"},
		"reserved":           {"b BIGINT", "rank BIGINT", "reserves"},
		"time":               {"b BIGINT", "b TIMESTAMP", "types that engines convert"},
		"table missing":      {"", "-- +goose Up\nCREATE TABLE IF NOT EXISTS u (a BIGINT, PRIMARY KEY (a))" + engine + ";\n", "mysql lacks the table t"},
		"SQLite's own words": {" ON DUPLICATE KEY UPDATE a = VALUES(a)", " ON CONFLICT DO NOTHING", "belongs to another engine"},
	} {
		t.Run(name, func(t *testing.T) {
			changed := strings.Replace(my, c.old, c.new, 1)
			if strings.HasPrefix(c.new, "-- +goose Up") {
				changed = c.new
			}
			wrong, tables, err := schemaFaults(fstest.MapFS{"sqlite/00001_a.sql": {Data: []byte(lite)}, "mysql/00001_a.sql": {Data: []byte(changed)}})
			if err != nil || tables != 1 && c.want == "" {
				t.Fatalf("%d tables, %v", tables, err)
			}
			all := strings.Join(wrong, "\n")
			if (all == "") != (c.want == "") || !strings.Contains(all, c.want) {
				t.Errorf("found %q, want %q", all, c.want)
			}
		})
	}
	wrong, _, err := schemaFaults(fstest.MapFS{"sqlite/00001_a.sql": {Data: []byte(lite)}, "mysql/00001_b.sql": {Data: []byte(my)}})
	if err != nil || len(wrong) != 1 || !strings.Contains(wrong[0], "the files are not the same") {
		t.Errorf("other names: %q, %v", wrong, err)
	}
}
