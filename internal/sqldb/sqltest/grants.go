package sqltest

import (
	"fmt"
	"net/url"
	"os"
	"regexp"
	"slices"
	"strings"
	"testing"
)

// Install runs a file for administrators that makes a database and its users, each of them with a password to be replaced,
// and drops both when the test ends. It returns what SHOW GRANTS says of the users, in the order in which they are made,
// without passwords, and the database's URL for each of them.
func (s *Server) Install(tb testing.TB, file string) (grants string, urls []string) {
	tb.Helper()
	text, err := os.ReadFile(file)
	if err != nil {
		tb.Fatal(err)
	}
	database := regexp.MustCompile(`CREATE DATABASE IF NOT EXISTS (\w+)`).FindStringSubmatch(string(text))
	users := regexp.MustCompile(`CREATE USER IF NOT EXISTS '(\w+)'@'%' IDENTIFIED BY '(REPLACE-[\w-]+)'`).FindAllStringSubmatch(string(text), -1)
	if database == nil || len(users) == 0 {
		tb.Fatalf("%s makes no database, or no user whose password is to be replaced", file)
	}
	tb.Cleanup(func() {
		s.cleanup(tb, "DROP DATABASE IF EXISTS "+database[1])
		for _, u := range users {
			s.cleanup(tb, fmt.Sprintf("DROP USER IF EXISTS '%s'@'%%'", u[1]))
		}
	})
	all, err := tokens(string(text))
	if err != nil {
		tb.Fatalf("%s: %v", file, err)
	}
	for len(all) > 0 {
		end := slices.IndexFunc(all, func(t token) bool { return t.text == ";" })
		if end < 0 {
			tb.Fatalf("%s: the last statement has no end", file)
		}
		s.Exec(tb, strings.ReplaceAll(strings.ReplaceAll(show(all[:end]), "' @ '", "'@'"), " . *", ".*"))
		all = all[end+1:]
	}
	var b strings.Builder
	for _, u := range users {
		rows, err := s.Admin.QueryContext(tb.Context(), fmt.Sprintf("SHOW GRANTS FOR '%s'@'%%'", u[1]))
		if err != nil {
			tb.Fatal(err)
		}
		for rows.Next() {
			var grant string
			if err := rows.Scan(&grant); err != nil {
				tb.Fatal(err)
			}
			grant, _, _ = strings.Cut(grant, " IDENTIFIED BY")
			b.WriteString(grant + "\n")
		}
		if err := rows.Err(); err != nil {
			tb.Fatal(err)
		}
		address := *s.url
		address.Path, address.User = "/"+database[1], url.UserPassword(u[1], u[2])
		urls = append(urls, address.String())
	}
	return b.String(), urls
}
