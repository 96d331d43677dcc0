// Package addresses reads files that say where a running system is found. Every command with --addresses takes the same files.
package addresses

import (
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"strings"
)

// Addresses are those of every instance; a part that the file does not name has none.
type Addresses struct {
	Gateways []string // URLs
	Metadata []string // gRPC, host:port
	Rating   []string // gRPC, host:port
	Movie    []string // gRPC, host:port
	Brokers  []string // Kafka, host:port
	Admin    []string // URLs
	Topic    string   // of rating events; empty if the file does not say
}

// Read reads the file that `movieexample serve --addresses FILE` writes, or one of a whole cluster. Each member (gateway or gateways, metadata,
// rating, movie, kafka or brokers, admin) is a text, with commas between several addresses, or a list of texts; they may stand in an
// object targets, as in the file in which `make cluster` keeps what it has started.
func Read(file string) (Addresses, error) {
	text, err := os.ReadFile(file)
	if err != nil {
		return Addresses{}, fmt.Errorf("read addresses ('movieexample serve --addresses FILE' writes them when the system is ready): %w", err)
	}
	type members struct {
		Gateway, Gateways, Metadata, Rating, Movie, Kafka, Brokers, Admin list
		Topic                                                             string
	}
	var found struct {
		members
		Targets *members
		PID     int // a process writes it, also one that has no part that a command asks
	}
	if err := json.Unmarshal(text, &found); err != nil {
		return Addresses{}, fmt.Errorf("read addresses: %s is not a file of addresses as 'movieexample serve --addresses FILE' or 'make cluster' writes it: %w", file, err)
	}
	m := found.members
	if found.Targets != nil {
		m = *found.Targets
	}
	a := Addresses{
		Gateways: append(m.Gateway, m.Gateways...), Metadata: m.Metadata, Rating: m.Rating, Movie: m.Movie,
		Brokers: append(m.Kafka, m.Brokers...), Admin: m.Admin, Topic: m.Topic,
	}
	if len(a.Gateways)+len(a.Metadata)+len(a.Rating)+len(a.Movie)+len(a.Brokers)+len(a.Admin) == 0 && found.PID == 0 {
		return Addresses{}, fmt.Errorf("read addresses: %s names no part of a system: gateway, metadata, rating, movie, kafka or admin", file)
	}
	return a, nil
}

// list is one or more addresses.
type list []string

// UnmarshalJSON takes a text, with commas between several, or a list of texts.
func (l *list) UnmarshalJSON(text []byte) error {
	var one string
	if json.Unmarshal(text, &one) == nil {
		*l = Split(one)
		return nil
	}
	var several []string
	if json.Unmarshal(text, &several) != nil {
		return errors.New("an address must be a text, or a list of texts")
	}
	*l = nil
	for _, s := range several {
		*l = append(*l, Split(s)...)
	}
	return nil
}

// Split takes addresses apart that are separated by commas.
func Split(text string) []string {
	var all []string
	for part := range strings.SplitSeq(text, ",") {
		if part = strings.TrimSpace(part); part != "" {
			all = append(all, part)
		}
	}
	return all
}
