package sqldb

import (
	"fmt"
	"strings"
)

// CheckURL reports what [Open] would find wrong with the form of a URL, without opening anything. The error never repeats
// what may be a password.
func CheckURL(url string) error {
	scheme, rest, _ := strings.Cut(url, ":")
	switch scheme {
	case "sqlite":
		if rest == "" || strings.HasPrefix(rest, ":") {
			return fmt.Errorf(`%q names no file: write for example "sqlite:ratings.db"`, url)
		}
		return nil
	case "mysql":
		_, err := parseMySQL(rest, &Options{})
		return err
	}
	return fmt.Errorf(`must be "mysql://user:password@host:port/database" or "sqlite:FILE"`)
}
