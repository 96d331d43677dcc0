//go:build linux

package cluster

import (
	"context"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"

	"movieexample.com/test/servers"
)

// The passwords in deploy/mysql, which operators replace.
const (
	servicePlaceholder = "'REPLACE-THIS-PASSWORD'"
	migratePlaceholder = "'REPLACE-THIS-PASSWORD-TOO'"
)

// database is the name of a service's database, and of its user; that for migrations has migrateSuffix.
func database(service string) string { return "movieexample_" + service }

const migrateSuffix = "_migrate"

// password is that of a user in MariaDB, which only this machine reaches.
func password(user string) string { return user + "-secret" }

// createDatabase makes a service's database and its two users, as an operator does: with the file in deploy/mysql.
func (c *Cluster) createDatabase(ctx context.Context, service string) error {
	root, err := moduleRoot()
	if err != nil {
		return err
	}
	file := filepath.Join(root, "deploy", "mysql", service+".sql")
	text, err := os.ReadFile(file)
	if err != nil {
		return err
	}
	statements := string(text)
	for placeholder, user := range map[string]string{servicePlaceholder: database(service), migratePlaceholder: database(service) + migrateSuffix} {
		if !strings.Contains(statements, placeholder) {
			return fmt.Errorf("create the database of %s: %s has no password %s to replace", service, file, placeholder)
		}
		statements = strings.ReplaceAll(statements, placeholder, "'"+password(user)+"'")
	}
	if err := c.MariaDB.Exec(ctx, statements); err != nil {
		return fmt.Errorf("create the database of %s by %s: %w", service, file, err)
	}
	return nil
}

// DatabaseURL is the URL under which a service has its database; its user reads and writes rows and does nothing else.
func (c *Cluster) DatabaseURL(service string) string {
	address := c.MariaDB.Address()
	if c.DatabaseProxy != nil {
		address = c.DatabaseProxy.Address()
	}
	return servers.MySQLURL(address, database(service), database(service), password(database(service)))
}

// Migrate brings the schema of a service's database up to date, as an operator does before a new version starts: with
// 'migrate up' and the user who may.
func (c *Cluster) Migrate(ctx context.Context, service string) error {
	user := database(service) + migrateSuffix
	file := filepath.Join(c.room.Dir(), service+"-migrate-url")
	url := servers.MySQLURL(c.MariaDB.Address(), database(service), user, password(user))
	if err := os.WriteFile(file, []byte(url), 0o600); err != nil {
		return err
	}
	cmd := exec.CommandContext(ctx, c.binary, "migrate", "up", service)
	cmd.Env = append(Environment(), "MOVIEEXAMPLE_DATABASE_FILE="+file)
	if out, err := cmd.CombinedOutput(); err != nil {
		return fmt.Errorf("migrate the database of %s: %w\n%s", service, err, out)
	}
	return nil
}
