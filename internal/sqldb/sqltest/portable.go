package sqltest

import (
	"fmt"
	"slices"
	"strings"
)

// Portable returns what a text of SQL has that not every engine understands in the same way (design 6.2), one line for
// each; nil where all of it is portable. The text may be a part of a statement. What a Dialect writes differs on purpose
// and is refused too: this is for what people write.
func Portable(text string) []string { return violations(text, statementRules()) }

// rule is something that SQL must not have.
type rule struct {
	name   string
	found  func(s []token) bool
	sample string // a text that breaks this rule, for the test of the rules
}

// statementRules are the rules for the texts that stores run.
func statementRules() []rule {
	rules := append(everywhere(),
		words("ON CONFLICT is written by the Dialect", "INSERT INTO t (a) VALUES (?) ON CONFLICT (a) DO NOTHING", "ON CONFLICT"),
		words("ON DUPLICATE KEY is written by the Dialect", "INSERT INTO t (a) VALUES (?) ON DUPLICATE KEY UPDATE a = VALUES(a)", "ON DUPLICATE"),
		words("FOR UPDATE is written by the Dialect", "SELECT a FROM t WHERE a = ? FOR UPDATE", "FOR UPDATE"),
		words("other locks than FOR UPDATE", "SELECT a FROM t LOCK IN SHARE MODE", "LOCK IN", "FOR SHARE", "SKIP LOCKED", "NOWAIT"),
		words("DDL belongs into migrations", "CREATE TABLE t (a INTEGER NOT NULL, PRIMARY KEY (a))", "CREATE", "ALTER", "DROP", "TRUNCATE"),
		words("collations differ by engine; identifiers are compared as bytes", "SELECT a FROM t ORDER BY a COLLATE NOCASE", "COLLATE"),
	)
	return append(rules, rule{
		"a function outside of the portable ones",
		foreignCall,
		"SELECT IFNULL(a, ?) FROM t",
	})
}

// everywhere are the rules for statements and migrations alike.
func everywhere() []rule {
	return []rule{
		words("auto-increment: a sequence that no shard owns", "CREATE TABLE t (a BIGINT AUTO_INCREMENT, PRIMARY KEY (a))", "AUTO_INCREMENT", "AUTOINCREMENT", "SERIAL"),
		words("foreign keys", "CREATE TABLE t (a BIGINT, FOREIGN KEY (a) REFERENCES u (a))", "FOREIGN KEY", "REFERENCES"),
		words("triggers", "CREATE TRIGGER x AFTER INSERT ON t", "TRIGGER"),
		words("views", "CREATE VIEW v AS SELECT a FROM t", "VIEW"),
		words("stored programs", "CREATE PROCEDURE p", "PROCEDURE", "FUNCTION", "EVENT", "CALL"),
		words("temporary tables", "CREATE TEMPORARY TABLE t (a BIGINT)", "TEMPORARY", "TEMP"),
		words("RETURNING", "DELETE FROM t WHERE a = ? RETURNING a", "RETURNING"),
		words("OFFSET: pages continue after a key", "SELECT a FROM t ORDER BY a LIMIT ? OFFSET ?", "OFFSET"),
		words("insert variants of one engine", "INSERT IGNORE INTO t (a) VALUES (?)", "INSERT IGNORE", "INSERT OR", "REPLACE INTO", "UPDATE OR"),
		words("pattern matching: engines disagree about case", "SELECT a FROM t WHERE a LIKE ?", "LIKE", "ILIKE", "GLOB", "REGEXP", "RLIKE", "MATCH"),
		words("commands of one engine", "PRAGMA user_version", "PRAGMA", "ATTACH", "VACUUM", "WITHOUT ROWID", "SHOW", "ANALYZE", "OPTIMIZE"),
		words("joins that not all engines have", "SELECT t.a FROM t FULL JOIN u ON u.a = t.a", "FULL", "RIGHT JOIN", "STRAIGHT_JOIN", "NATURAL"),
		words("set operations that MySQL got late", "SELECT a FROM t EXCEPT SELECT a FROM u", "EXCEPT", "INTERSECT"),
		words("index hints", "SELECT a FROM t FORCE INDEX (i)", "FORCE INDEX", "USE INDEX", "IGNORE INDEX", "INDEXED BY"),
		{"types that engines convert in their own ways; times and flags are integers", foreignType, "CREATE TABLE t (a DATETIME)"},
		words("the database's clock", "UPDATE t SET a = CURRENT_TIMESTAMP", "CURRENT_TIMESTAMP", "CURRENT_DATE", "CURRENT_TIME", "INTERVAL"),
		words("transactions are sqldb's", "BEGIN", "BEGIN", "COMMIT", "ROLLBACK", "SAVEPOINT", "LOCK TABLES"),
		words("NULLS FIRST and LAST", "SELECT a FROM t ORDER BY a NULLS LAST", "NULLS"),
		words("integer division", "SELECT a DIV ? FROM t", "DIV", "MOD", "XOR"),
		marks("division: of integers it gives an integer on one engine and a decimal on the other", "SELECT a / 10 FROM t", "/", "%"),
		marks("|| is OR on MySQL", "SELECT a || ? FROM t", "||"),
		marks("operators of one engine", "SELECT a FROM t WHERE a == ?", "==", "->", "->>", "<=>", "::", "<<", ">>"),
		marks("quoted names", "SELECT `a` FROM t", "`", `"`),
		{"SELECT * breaks when a later version adds a column", selectsAll, "SELECT t.* FROM t"},
		{"LIMIT with two numbers", limitOfTwo, "SELECT a FROM t LIMIT 1, ?"},
		{"a range of tuples: MySQL finds no index for it", tupleRange, "SELECT a FROM t WHERE (a, b) > (?, ?)"},
		{"a row alias: MariaDB has none", rowAlias, "INSERT INTO t (a) VALUES (?) AS new ON DUPLICATE KEY UPDATE a = new.a"},
		{"UPDATE or DELETE with LIMIT, ORDER BY, JOIN or FROM", manyTables, "DELETE FROM t WHERE a = ? LIMIT 1"},
		{"a name that a database reserves", reservedName, "SELECT a AS rank FROM t"},
	}
}

func violations(text string, rules []rule) []string {
	s, err := tokens(text)
	if err != nil {
		return []string{err.Error()}
	}
	var found []string
	for _, r := range rules {
		if r.found(s) {
			found = append(found, r.name)
		}
	}
	return found
}

// words is the rule that none of the sequences of words may occur.
func words(name, sample string, sequences ...string) rule {
	return rule{name, func(s []token) bool {
		for _, sequence := range sequences {
			if has(s, strings.Fields(sequence)...) {
				return true
			}
		}
		return false
	}, sample}
}

// marks is the rule that none of the operators may occur.
func marks(name, sample string, operators ...string) rule {
	return rule{name, func(s []token) bool {
		return slices.ContainsFunc(s, func(t token) bool { return t.kind == mark && slices.Contains(operators, t.text) })
	}, sample}
}

// has reports whether the words stand somewhere next to each other.
func has(s []token, words ...string) bool {
	for i := range s {
		if startsWith(s[i:], words...) {
			return true
		}
	}
	return false
}

func startsWith(s []token, words ...string) bool {
	if len(s) < len(words) {
		return false
	}
	for i, w := range words {
		if !s[i].is(w) {
			return false
		}
	}
	return true
}

func selectsAll(s []token) bool {
	for i, t := range s {
		if t.text == "*" && i > 0 && (s[i-1].is("SELECT") || s[i-1].text == "." || s[i-1].text == ",") {
			return true
		}
	}
	return false
}

func limitOfTwo(s []token) bool {
	for i := range s {
		if s[i].is("LIMIT") && i+2 < len(s) && s[i+2].text == "," {
			return true
		}
	}
	return false
}

// tupleRange finds a list in brackets, which is no call's, before < or >.
func tupleRange(s []token) bool {
	type open struct{ list, call bool }
	var stack []open
	for i, t := range s {
		switch t.text {
		case "(":
			stack = append(stack, open{call: i > 0 && s[i-1].kind == word && !slices.Contains(beforeBracket(), strings.ToUpper(s[i-1].text))})
		case ",":
			if n := len(stack); n > 0 {
				stack[n-1].list = true
			}
		case ")":
			n := len(stack)
			if n == 0 {
				continue
			}
			last := stack[n-1]
			stack = stack[:n-1]
			if last.list && !last.call && i+1 < len(s) && slices.Contains([]string{"<", ">", "<=", ">="}, s[i+1].text) {
				return true
			}
		}
	}
	return false
}

func rowAlias(s []token) bool {
	if len(s) == 0 || !s[0].is("INSERT") || has(s, "SELECT") {
		return false
	}
	for i := 1; i < len(s); i++ {
		if s[i].is("AS") && s[i-1].text == ")" {
			return true
		}
	}
	return false
}

func manyTables(s []token) bool {
	if len(s) == 0 {
		return false
	}
	switch {
	case s[0].is("DELETE"):
		return has(s, "LIMIT") || has(s, "ORDER") || has(s, "JOIN") || has(s, "USING")
	case s[0].is("UPDATE"):
		return has(s, "LIMIT") || has(s, "ORDER") || has(s, "JOIN") || has(s, "FROM")
	}
	return false
}

// foreignType finds types whose values the drivers of two engines would not give alike.
func foreignType(s []token) bool {
	types := []string{"DATETIME", "TIMESTAMP", "DATE", "TIME", "YEAR", "BOOLEAN", "BOOL", "ENUM", "JSON", "FLOAT", "DOUBLE", "REAL", "DECIMAL", "NUMERIC"}
	return startsWith(s, "CREATE", "TABLE") && slices.ContainsFunc(s, func(t token) bool { return t.kind == word && slices.Contains(types, strings.ToUpper(t.text)) })
}

// foreignCall finds a word before a bracket that is not a keyword, not the table of an INSERT, and not a function that
// returns the same on every engine.
func foreignCall(s []token) bool {
	portable := []string{"COUNT", "SUM", "MIN", "MAX", "COALESCE", "INSTR", "LENGTH", "VALUES"}
	for i := 1; i < len(s); i++ {
		if s[i].text != "(" || s[i-1].kind != word {
			continue
		}
		name := strings.ToUpper(s[i-1].text)
		table := i > 1 && s[i-2].is("INTO")
		if !table && !slices.Contains(portable, name) && !slices.Contains(beforeBracket(), name) {
			return true
		}
	}
	return false
}

// beforeBracket are keywords that an opening bracket may follow.
func beforeBracket() []string {
	return []string{
		"IN", "AND", "OR", "NOT", "WHERE", "ON", "EXISTS", "FROM", "SELECT", "WHEN", "THEN", "ELSE", "CASE", "SET", "BY", "DISTINCT", "HAVING", "VALUES",
	}
}

// reservedName finds names that MySQL 8, MariaDB 10.11 or TiDB reserve and SQLite does not. A keyword that a statement
// uses as one is not among them.
func reservedName(s []token) bool {
	reserved := []string{
		"CUBE", "CUME_DIST", "DENSE_RANK", "FIRST_VALUE", "GROUPS", "KEYS", "LAG", "LAST_VALUE", "LATERAL", "LEAD", "NTH_VALUE", "NTILE", "OF", "OVER",
		"PERCENT_RANK", "RANK", "RECURSIVE", "ROW", "ROW_NUMBER", "ROWS", "SYSTEM", "WINDOW", "READ", "WRITE", "RANGE", "CONDITION", "OUT", "INOUT",
		"USAGE", "SCHEMA", "SCHEMAS", "DATABASE", "DATABASES", "OPTION", "SIGNAL", "GET", "LINES", "LOOP", "RELEASE", "REPEAT", "REQUIRE", "RESTRICT",
		"RETURN", "REVOKE", "SENSITIVE", "SEPARATOR", "SPATIAL", "SPECIFIC", "SQL", "STARTING", "STORED", "TERMINATED", "UNDO", "UNLOCK", "VARYING",
		"VIRTUAL", "WHILE", "CHANGE", "CHAR", "CHARACTER", "DELAYED", "DESCRIBE", "EACH", "ENCLOSED", "EXIT", "FETCH", "GENERATED", "GRANT",
		"GROUPING", "INFILE", "KILL", "LINEAR", "LOAD", "LONG", "MASTER_BIND", "MODIFIES", "PARTITION", "PRECISION", "PURGE", "RENAME",
	}
	return slices.ContainsFunc(s, func(t token) bool { return t.kind == word && slices.Contains(reserved, strings.ToUpper(t.text)) })
}

// kind is what a token is.
type kind uint8

const (
	word   kind = iota // a keyword or a name
	value              // a number, a text or "?"
	mark               // an operator or a bracket
	anyone             // unknown: a part of the text that the program inserts
)

type token struct {
	kind kind
	text string
}

// is reports whether the token is the word, in whatever case.
func (t token) is(w string) bool { return t.kind == word && strings.EqualFold(t.text, w) }

// hole stands in a text for a part that the program puts in.
const hole = "\uFFFC"

// tokens takes SQL apart and leaves comments out.
func tokens(text string) ([]token, error) {
	var s []token
	for i := 0; i < len(text); {
		c := text[i]
		rest := text[i:]
		switch {
		case c == ' ' || c == '\t' || c == '\n' || c == '\r':
			i++
		case strings.HasPrefix(rest, "--"):
			end := strings.IndexByte(rest, '\n')
			if end < 0 {
				end = len(rest)
			}
			i += end
		case strings.HasPrefix(rest, "/*"):
			return nil, fmt.Errorf("a comment in /* */, which MySQL may execute: %.40q", rest)
		case strings.HasPrefix(rest, hole):
			s = append(s, token{anyone, hole})
			i += len(hole)
		case c == '\'':
			end := strings.IndexByte(rest[1:], '\'')
			if end < 0 || strings.Contains(rest[:end+2], `\`) {
				return nil, fmt.Errorf("a text without an end, or with a backslash: %.40q", rest)
			}
			s = append(s, token{value, rest[:end+2]})
			i += end + 2
		case letter(c):
			end := 1
			for end < len(rest) && (letter(rest[end]) || rest[end] >= '0' && rest[end] <= '9') {
				end++
			}
			s = append(s, token{word, rest[:end]})
			i += end
		case c == '?' || c >= '0' && c <= '9':
			end := 1
			for c != '?' && end < len(rest) && (rest[end] >= '0' && rest[end] <= '9' || rest[end] == '.') {
				end++
			}
			s = append(s, token{value, rest[:end]})
			i += end
		default:
			end := 1
			for _, operator := range []string{"->>", "<=>", "||", "==", "->", "::", "<<", ">>", "<=", ">=", "<>", "!="} {
				if strings.HasPrefix(rest, operator) {
					end = len(operator)
					break
				}
			}
			s = append(s, token{mark, rest[:end]})
			i += end
		}
	}
	return s, nil
}

func letter(c byte) bool { return c == '_' || c >= 'a' && c <= 'z' || c >= 'A' && c <= 'Z' }
