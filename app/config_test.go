package app_test

import (
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"movieexample.com/app"
	"movieexample.com/internal/config"
)

// problems lists the settings that an error is about.
func problems(err error) []string {
	var paths []string
	if joined, ok := err.(interface{ Unwrap() []error }); ok {
		for _, e := range joined.Unwrap() {
			paths = append(paths, problems(e)...)
		}
	} else if p := (*config.Problem)(nil); errors.As(err, &p) {
		paths = append(paths, p.Path)
	} else if err != nil {
		paths = append(paths, "?")
	}
	return paths
}

func TestValidate(t *testing.T) {
	for name, tc := range map[string]struct {
		change   func(*app.Config)
		services string
		paths    string
		text     string // part of the message
	}{
		"defaults":                 {change: func(*app.Config) {}},
		"IPv6 loopback":            {change: func(c *app.Config) { c.Listen.Gateway = "[::1]:0" }},
		"localhost":                {change: func(c *app.Config) { c.Listen.Gateway = "localhost:8080" }},
		"every address":            {change: func(c *app.Config) { c.Listen.Gateway = ":8080" }, paths: "listen.gateway", text: "--insecure-no-auth"},
		"every IPv6 address":       {change: func(c *app.Config) { c.Listen.Movie = "[::]:8080" }, paths: "listen.movie", text: "no authentication"},
		"another address":          {change: func(c *app.Config) { c.Listen.Admin = "192.0.2.1:1" }, paths: "listen.admin", text: `"192.0.2.1:1" is not a loopback address`},
		"a name":                   {change: func(c *app.Config) { c.Listen.Rating = "example.com:1" }, paths: "listen.rating", text: "loopback"},
		"another address, allowed": {change: func(c *app.Config) { c.Listen.Gateway, c.InsecureNoAuth = ":8080", true }},
		"broker everywhere":        {change: func(c *app.Config) { c.Listen.Kafka, c.InsecureNoAuth = "0.0.0.0:9092", true }, paths: "listen.kafka", text: "--kafka-advertise"},
		"broker everywhere, advertised": {change: func(c *app.Config) {
			c.Listen.Kafka, c.InsecureNoAuth, c.KafkaAdvertise = "0.0.0.0:9092", true, "kafka.example.com:9092"
		}},
		"advertised nonsense":  {change: func(c *app.Config) { c.KafkaAdvertise = "kafka" }, paths: "kafka_advertise", text: `got "kafka"`},
		"no port":              {change: func(c *app.Config) { c.Listen.Metadata = "127.0.0.1" }, paths: "listen.metadata", text: "for example 127.0.0.1:8081"},
		"port too large":       {change: func(c *app.Config) { c.Listen.Metadata = "127.0.0.1:65536" }, paths: "listen.metadata", text: "from 0 to 65535"},
		"port by name":         {change: func(c *app.Config) { c.Listen.Metadata = "127.0.0.1:http" }, paths: "listen.metadata"},
		"no address":           {change: func(c *app.Config) { c.Listen.Metadata = "" }, paths: "listen.metadata"},
		"connect nonsense":     {change: func(c *app.Config) { c.Connect.Rating = "rating" }, paths: "connect.rating", text: `got "rating"`},
		"stop at once":         {change: func(c *app.Config) { c.ShutdownTimeout = 0 }, paths: "shutdown_timeout", text: "got 0s"},
		"stop never":           {change: func(c *app.Config) { c.ShutdownTimeout = time.Hour }, paths: "shutdown_timeout", text: "got 1h0m0s"},
		"a service's own":      {change: func(c *app.Config) { c.Rating.ChartMinVotes = -1 }, paths: "rating.chart_min_votes"},
		"the log's":            {change: func(c *app.Config) { c.Log.Level = "loud" }, paths: "log.level", text: `"loud" given`},
		"all of it":            {change: func(c *app.Config) { c.Listen.Gateway, c.Listen.Admin, c.Log.Level = "x", "y", "z" }, paths: "listen.gateway listen.admin log.level"},
		"metadata alone":       {change: func(*app.Config) {}, services: "metadata"},
		"movie alone":          {change: func(*app.Config) {}, services: "movie", paths: "connect.metadata connect.rating", text: "movie calls rating"},
		"movie and metadata":   {change: func(*app.Config) {}, services: "movie metadata", paths: "connect.rating", text: "--connect-rating"},
		"movie, connected":     {change: func(c *app.Config) { c.Connect = app.Connect{Metadata: "a:1", Rating: "b:1"} }, services: "movie"},
		"gateway alone":        {change: func(*app.Config) {}, services: "gateway", paths: "connect.rating connect.movie"},
		"gateway and movie":    {change: func(*app.Config) {}, services: "gateway movie", paths: "connect.metadata connect.rating"},
		"rating alone":         {change: func(*app.Config) {}, services: "rating", paths: "rating.brokers", text: "--rating-brokers"},
		"rating with a broker": {change: func(c *app.Config) { c.Rating.Brokers = []string{"a:1"} }, services: "rating", paths: "databases.rating", text: "MOVIEEXAMPLE_DATABASES_RATING_FILE"},
		"rating with a broker and embedded database": {change: func(c *app.Config) { c.Rating.Brokers, c.Database = []string{"a:1"}, "embedded" }, services: "rating"},
		"rating with a broker and a file":            {change: func(c *app.Config) { c.Rating.Brokers, c.Database = []string{"a:1"}, "sqlite:x.db" }, services: "rating"},
		"all with a broker":                          {change: func(c *app.Config) { c.Rating.Brokers = []string{"a:1"} }, paths: "databases.metadata databases.rating", text: "rating.brokers says"},
		"all with a broker and embedded databases":   {change: func(c *app.Config) { c.Rating.Brokers, c.Database = []string{"a:1"}, "embedded" }},
		"metadata in company":                        {change: func(c *app.Config) { c.Discovery = "static:x" }, services: "metadata", paths: "databases.metadata", text: "the word embedded"},
		"metadata in company, by name":               {change: func(c *app.Config) { c.Discovery, c.Databases.Metadata = "static:x", "embedded" }, services: "metadata"},
		"all in company":                             {change: func(c *app.Config) { c.Discovery = "consul://127.0.0.1:8500" }, paths: "databases.metadata databases.rating rating.brokers", text: "discovery says"},
		"all in company, by name": {change: func(c *app.Config) {
			c.Discovery, c.Database, c.Rating.Brokers = "consul://127.0.0.1:8500", "embedded", []string{"embedded"}
		}},
		"all embedded, by name":    {change: func(c *app.Config) { c.Database, c.Rating.Brokers = "embedded", []string{"embedded"} }},
		"rating alone, embedded":   {change: func(c *app.Config) { c.Rating.Brokers = []string{"embedded"} }, services: "rating", paths: "rating.brokers", text: "--rating-brokers"},
		"embedded and another one": {change: func(c *app.Config) { c.Database, c.Databases.Rating = "embedded", "sqlite:r.db" }, paths: "database", text: "give one of them"},
		"a database for one": {change: func(c *app.Config) {
			c.Database, c.Rating.Brokers = "mysql://rating:pw@db.example/rating", []string{"a:1"}
		}, services: "rating"},
		"one database for two": {change: func(c *app.Config) { c.Database = "sqlite:x.db" }, services: "metadata rating movie gateway", paths: "database", text: "--databases-metadata and --databases-rating"},
		"an unused database":   {change: func(c *app.Config) { c.Database, c.Discovery = "sqlite:x.db", "dns:///{service}.example:80" }, services: "movie", paths: "database", text: "runs none"},
		"a database each": {change: func(c *app.Config) {
			c.Databases = app.Databases{Metadata: "mysql://m:pw@db.example/metadata", Rating: "sqlite:r.db"}
		}},
		"the same database": {change: func(c *app.Config) {
			c.Databases = app.Databases{Metadata: "sqlite:x.db", Rating: "sqlite:x.db"}
		}, paths: "databases.rating", text: "the database of metadata too"},
		"no such database":        {change: func(c *app.Config) { c.Databases.Rating = "postgres://x" }, paths: "databases.rating", text: "mysql://user:password@host:port/database"},
		"a database without user": {change: func(c *app.Config) { c.Databases.Rating = "mysql://db.example/rating" }, paths: "databases.rating", text: "no user"},
		"no such discovery":       {change: func(c *app.Config) { c.Discovery = "zookeeper://x" }, paths: "discovery", text: "consul"},
		"movie with Consul":       {change: func(c *app.Config) { c.Discovery = "consul://127.0.0.1:8500" }, services: "movie"},
		"everywhere, with Consul": {change: func(c *app.Config) {
			c.Discovery, c.InsecureNoAuth, c.Listen.Movie = "consul://127.0.0.1:8500", true, ":8083"
		}, services: "movie", paths: "advertise", text: "listen.movie"},
		"everywhere, and its name": {change: func(c *app.Config) {
			c.Discovery, c.InsecureNoAuth, c.Listen.Movie, c.Advertise = "consul://127.0.0.1:8500", true, ":8083", "movie-1.example"
		}, services: "movie"},
		"advertised with port":  {change: func(c *app.Config) { c.Advertise = "host:80" }, paths: "advertise", text: "without a port"},
		"a long goodbye":        {change: func(c *app.Config) { c.DrainDelay = time.Hour }, paths: "drain_delay", text: "from 0s to 1m"},
		"all, named":            {change: func(*app.Config) {}, services: "gateway movie rating metadata"},
		"a service not there":   {change: func(*app.Config) {}, services: "films", paths: "?", text: "metadata, rating, movie, gateway"},
		"both kinds of mistake": {change: func(c *app.Config) { c.Log.Level = "loud" }, services: "movie metadata", paths: "log.level connect.rating"},
	} {
		t.Run(name, func(t *testing.T) {
			cfg := app.DefaultConfig()
			tc.change(&cfg)
			err := cfg.ValidateFor(strings.Fields(tc.services))
			if got := strings.Join(problems(err), " "); got != tc.paths {
				t.Errorf("problems with %q, want %q: %v", got, tc.paths, err)
			}
			if err != nil && !strings.Contains(err.Error(), tc.text) {
				t.Errorf("the message lacks %q: %v", tc.text, err)
			}
		})
	}
}

// TestDataDirectory follows the XDG Base Directory Specification.
func TestDataDirectory(t *testing.T) {
	wd, err := os.Getwd()
	if err != nil {
		t.Fatal(err)
	}
	for name, tc := range map[string]struct {
		data, xdg, home string
		want            string
	}{
		"given":        {data: "/data", xdg: "/xdg", home: "/home/me", want: "/data"},
		"relative":     {data: "data", want: filepath.Join(wd, "data")},
		"XDG":          {xdg: "/xdg", home: "/home/me", want: "/xdg/movieexample"},
		"relative XDG": {xdg: "xdg", home: "/home/me", want: "/home/me/.local/share/movieexample"},
		"home":         {home: "/home/me", want: "/home/me/.local/share/movieexample"},
		"nothing":      {want: ""},
	} {
		t.Run(name, func(t *testing.T) {
			t.Setenv("XDG_DATA_HOME", tc.xdg)
			t.Setenv("HOME", tc.home)
			got, err := app.Config{DataDir: tc.data}.DataDirectory()
			if got != tc.want || (err != nil) != (tc.want == "") {
				t.Errorf("got %q, %v; want %q", got, err, tc.want)
			}
			if err != nil && !strings.Contains(err.Error(), "--data DIR") {
				t.Errorf("the message does not say what to do: %v", err)
			}
		})
	}
}
