package rating

import (
	"cmp"
	"errors"
	"fmt"
	"os"
	"strings"
	"time"

	"movieexample.com/internal/config"
	"movieexample.com/internal/kafka"
)

// Config tunes the service. For [New] a zero field means its default, see [DefaultConfig], except in Replication, MinInSyncReplicas
// and the two retentions, where zero has its own meaning.
type Config struct {
	// ChartMinVotes is m of the Bayesian estimate, in ratings: the weight of the global mean, and the least number
	// of ratings a record needs for the chart "top".
	ChartMinVotes int `yaml:"chart_min_votes" usage:"m of the Bayesian estimate: votes a record needs for the top chart (1 to 1000000)"`
	// ChartMaxAge is how old charts, the global mean and totals may be.
	ChartMaxAge time.Duration `yaml:"chart_max_age" usage:"how old charts and the global mean may be (10ms to 1m)"`
	// Brokers are Kafka bootstrap addresses; none: no events are ingested.
	Brokers []string `yaml:"brokers" usage:"Kafka brokers to ingest rating events from, host:port; embedded means the broker of this process, and so does empty in a process that works alone"`
	// Kafka is TLS and login for Brokers.
	Kafka kafka.Security `yaml:"kafka"`
	// Topic is the topic of rating events, created if it does not exist.
	Topic string `yaml:"topic" usage:"Kafka topic of rating events"`
	// Group is the Kafka consumer group.
	Group string `yaml:"group" usage:"Kafka consumer group"`
	// Partitions and Replication of the topic, if the service creates it.
	Partitions  int `yaml:"partitions" usage:"partitions of the topic, if it is created (1 to 1024)"`
	Replication int `yaml:"replication" usage:"replicas of the topic, if it is created; 0 means the broker's default"`
	// MinInSyncReplicas of the topic, if the service creates it: how many replicas have a record before it is acknowledged.
	MinInSyncReplicas int `yaml:"min_insync_replicas" usage:"replicas that must have an event before it is acknowledged, if the topic is created; 0 means the broker's default"`
	// Retention and RetentionBytes of the topic, if the service creates it. Retention counts from a record's own timestamp, so it
	// expires records with an early timestamp, and can empty a partition; RetentionBytes cannot (ADR 006).
	Retention      time.Duration `yaml:"retention" usage:"how long the topic keeps events, if it is created, counted from the record's timestamp; 0 means forever"`
	RetentionBytes config.Bytes  `yaml:"retention_bytes" usage:"how much the topic keeps in each partition, if it is created; 0 means everything"`
	// DeadLetterBytes and DeadLetterAge bound the dead letters that are kept. Beyond either bound, the oldest are dropped.
	DeadLetterBytes config.Bytes  `yaml:"dead_letter_bytes" usage:"how many bytes of refused events are kept; beyond it the oldest are dropped (at least 1MiB)"`
	DeadLetterAge   time.Duration `yaml:"dead_letter_age" usage:"how long refused events are kept (at least 1m)"`
	// BatchRecords bounds the records of one poll, and so of one transaction.
	BatchRecords int `yaml:"batch_records" usage:"records ingested in one transaction (1 to 100000)"`
}

// DefaultConfig returns the defaults.
func DefaultConfig() Config {
	return Config{
		ChartMinVotes: 25,
		ChartMaxAge:   time.Second,
		Topic:         "ratings",
		Group:         "rating",
		Partitions:    4,
		BatchRecords:  10_000,

		RetentionBytes:  1 << 30,
		DeadLetterBytes: 256 << 20,
		DeadLetterAge:   90 * 24 * time.Hour,
	}
}

// withDefaults fills the zero fields that mean their default.
func (c Config) withDefaults() Config {
	d := DefaultConfig()
	c.ChartMinVotes = cmp.Or(c.ChartMinVotes, d.ChartMinVotes)
	c.ChartMaxAge = cmp.Or(c.ChartMaxAge, d.ChartMaxAge)
	c.Topic = cmp.Or(c.Topic, d.Topic)
	c.Group = cmp.Or(c.Group, d.Group)
	c.Partitions = cmp.Or(c.Partitions, d.Partitions)
	c.BatchRecords = cmp.Or(c.BatchRecords, d.BatchRecords)
	c.DeadLetterBytes = cmp.Or(c.DeadLetterBytes, d.DeadLetterBytes)
	c.DeadLetterAge = cmp.Or(c.DeadLetterAge, d.DeadLetterAge)
	return c
}

// Validate reports every value out of range as a *config.Problem that names the setting, joined. It takes a zero literally.
func (c Config) Validate() error {
	var errs []error
	check := func(ok bool, path, format string, args ...any) {
		if !ok {
			errs = append(errs, &config.Problem{Path: path, Reason: fmt.Sprintf(format, args...)})
		}
	}
	within := func(path string, v, least, most int) {
		check(least <= v && v <= most, path, "must be from %d to %d, got %d", least, most, v)
	}
	check(c.Group != "", "group", "must not be empty")
	check(strings.Trim(c.Topic, "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789._-") == "" && len(c.Topic) >= 1 && len(c.Topic) <= 249 &&
		c.Topic != "." && c.Topic != "..", // Kafka's own rule
		"topic", "must be 1 to 249 of a-z, A-Z, 0-9, \".\", \"_\" and \"-\", got %q", c.Topic)
	within("chart_min_votes", c.ChartMinVotes, 1, 1_000_000)
	within("partitions", c.Partitions, 1, 1024)
	within("replication", c.Replication, 0, 100)
	within("min_insync_replicas", c.MinInSyncReplicas, 0, 100)
	check(c.Replication <= 0 || c.MinInSyncReplicas <= c.Replication, "min_insync_replicas",
		"must not be more than replication, which is %d, or nothing could be published; got %d", c.Replication, c.MinInSyncReplicas)
	if err := config.Under("kafka", c.Kafka.Validate()); err != nil {
		errs = append(errs, err)
	}
	within("batch_records", c.BatchRecords, 1, 100_000)
	check(c.ChartMaxAge >= 10*time.Millisecond && c.ChartMaxAge <= time.Minute, "chart_max_age", "must be from 10ms to 1m, got %s", c.ChartMaxAge)
	// A shorter retention would delete events before they are ingested. To Kafka 0 ms means "at once", so 0 is never sent.
	check(c.Retention == 0 || c.Retention >= time.Minute, "retention", "must be 0 (forever) or at least 1m, got %s", c.Retention)
	check(c.RetentionBytes == 0 || c.RetentionBytes >= 1<<20, "retention_bytes", "must be 0 (everything) or at least 1MiB, got %s", c.RetentionBytes)
	check(c.DeadLetterBytes >= 1<<20, "dead_letter_bytes", "must be at least 1MiB, got %s", c.DeadLetterBytes)
	check(c.DeadLetterAge >= time.Minute, "dead_letter_age", "must be at least 1m, got %s", c.DeadLetterAge)
	return errors.Join(errs...)
}

// settingName is what operators call a setting of [Config.Kafka].
func settingName(key string) string { return "rating.kafka." + key }

// kafkaConfig is how this service reaches the brokers. The client's name also shows who owns a partition.
func (c Config) kafkaConfig() kafka.Config {
	host, err := os.Hostname()
	if err != nil {
		host = "unknown-host"
	}
	return kafka.Config{Brokers: c.Brokers, ClientID: fmt.Sprintf("movieexample-rating-%s-%d", host, os.Getpid()), Security: c.Kafka, Setting: settingName}
}
