package config

import (
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"regexp"
	"slices"
	"strings"
)

// secretFileLimit is far above any password or key; a larger file is a mistake, such as a data file named by accident.
const secretFileLimit = 64 << 10

// loadEnv reads the system's own variables. If a name occurs twice, the first one counts, as in os.Getenv.
func (s *Set) loadEnv(environ, ignore []string) []error {
	vars := map[string]string{}
	var names []string
	for _, line := range environ {
		name, value, _ := strings.Cut(line, "=")
		if _, twice := vars[name]; twice || !strings.HasPrefix(name, EnvPrefix) || slices.Contains(ignore, name) {
			continue
		}
		vars[name] = value
		names = append(names, name)
	}

	var problems []error
	known := map[string]bool{}
	for _, st := range s.settings {
		known[st.env] = true
		value, set := vars[st.env]
		if st.secret {
			known[st.envFile()] = true
			if file, setFile := vars[st.envFile()]; setFile {
				if set {
					problems = append(problems, &Problem{
						Path: st.path, Origin: st.env,
						Reason: fmt.Sprintf("%s and %s are both set: keep one of them", st.env, st.envFile()),
					})
					continue
				}
				if err := st.takeSecretFile(file); err != nil {
					problems = append(problems, err)
				}
				continue
			}
		}
		if set {
			if err := st.take(value, SourceEnvironment, st.env); err != nil {
				problems = append(problems, err)
			}
		}
	}

	slices.Sort(names) // the environment has no order that means anything; messages should have one
	for _, name := range names {
		if !known[name] && !isServiceLink(name, vars) {
			problems = append(problems, &Problem{Origin: name, Reason: s.unknownVariable(name)})
		}
	}
	return problems
}

func (st *setting) takeSecretFile(path string) error {
	text, err := ReadSecret(path)
	if err != nil {
		return &Problem{Path: st.path, Origin: st.envFile(), Reason: err.Error()}
	}
	if err := st.take(text, SourceEnvironment, st.envFile()); err != nil {
		return err
	}
	st.incoming.secretFile = path
	return nil
}

// ReadSecret reads a secret from a file: one line, without the newlines that editors and echo put at its end. An empty file, or
// one with only white space, is an error: the secret was probably never written, and treating it as "no secret" would not be what
// the operator meant. A file with several lines is an error, too: one of them may be a leftover. Errors name the file and show
// nothing of its content.
func ReadSecret(path string) (string, error) {
	if path == "" {
		return "", errors.New("no file is named: name the one that holds the secret")
	}
	data, err := readLimited(path, secretFileLimit)
	if err != nil {
		return "", fmt.Errorf("read the secret: %w", err)
	}
	text := strings.TrimRight(string(data), "\r\n")
	if strings.TrimSpace(text) == "" {
		return "", fmt.Errorf("file %q holds no secret, it is empty: write the secret into it, or name no file", path)
	}
	if strings.ContainsAny(text, "\r\n") {
		return "", fmt.Errorf("file %q holds more than one line: keep the one that is the secret", path)
	}
	return text, nil
}

// unknownVariable says what is wrong with a name that belongs to no setting.
func (s *Set) unknownVariable(name string) string {
	var candidates []string
	for _, st := range s.settings {
		if name == st.envFile() && !st.secret {
			return fmt.Sprintf("unknown variable: only secrets can be read from a file, and %s is none; set %s", st.path, st.env)
		}
		candidates = append(candidates, st.env)
		if st.secret {
			candidates = append(candidates, st.envFile())
		}
	}
	reason := "unknown variable"
	if near := Nearest(name, candidates); near != "" {
		return reason + "; did you mean " + near + "?"
	}
	return reason + "; every variable that begins with " + EnvPrefix + " must be a setting: remove or rename it"
}

// serviceLink matches the names that Kubernetes invents for a Service.
var serviceLink = regexp.MustCompile(`^(.+?)_(SERVICE_HOST|SERVICE_PORT(_[A-Z0-9_]+)?|PORT(_[0-9]+_(TCP|UDP|SCTP)(_(PROTO|PORT|ADDR))?)?)$`)

// isServiceLink recognises the variables with which Kubernetes tells each container where every Service of the
// namespace is. A Service named movieexample-rating becomes MOVIEEXAMPLE_RATING_SERVICE_HOST and six more, and a pod
// must not refuse to start for that. The host variable has to be there too, so that a lone typo ending in _PORT is still found.
func isServiceLink(name string, vars map[string]string) bool {
	m := serviceLink.FindStringSubmatch(name)
	if m == nil {
		return false
	}
	_, host := vars[m[1]+"_SERVICE_HOST"]
	_, port := vars[m[1]+"_SERVICE_PORT"]
	return host && port
}

// readLimited reads a whole file of at most limit bytes.
func readLimited(path string, limit int64) ([]byte, error) {
	f, err := os.Open(path)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, fmt.Errorf("there is no file %q", path)
	}
	if err != nil {
		return nil, err
	}
	defer f.Close()
	data, err := io.ReadAll(io.LimitReader(f, limit+1))
	if err != nil {
		return nil, err
	}
	if int64(len(data)) > limit {
		return nil, fmt.Errorf("file %q is larger than %s", path, Bytes(limit))
	}
	return data, nil
}
