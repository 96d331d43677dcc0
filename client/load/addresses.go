package load

import (
	"encoding/json"
	"fmt"
	"os"
	"strings"

	"movieexample.com/client"
)

// DefaultTargets is where a system runs that was told nothing else, and what is asked of it.
func DefaultTargets() Targets {
	a := client.DefaultAddresses()
	return Targets{
		Gateways: []string{"http://127.0.0.1:8080"}, Movie: []string{"127.0.0.1:8083"},
		Metadata: []string{a.Metadata}, Rating: []string{a.Rating}, Brokers: a.Brokers, Topic: a.Topic,
		Mix: DefaultMix(), Connections: 8, Films: 10_000, Zipf: 1,
	}
}

// Locate takes the addresses from the file that `movieexample serve --addresses FILE` writes. Doors that the process does
// not have are then unknown.
func (t *Targets) Locate(file string) error {
	a, err := client.ReadAddresses(file)
	if err != nil {
		return err
	}
	text, err := os.ReadFile(file)
	if err != nil {
		return fmt.Errorf("read addresses: %w", err)
	}
	var more struct {
		Gateway string `json:"gateway"`
		Movie   string `json:"movie"`
	}
	if err := json.Unmarshal(text, &more); err != nil {
		return fmt.Errorf("read addresses: %s: %w", file, err)
	}
	t.Gateways, t.Movie, t.Metadata, t.Rating, t.Brokers = list(more.Gateway), list(more.Movie), list(a.Metadata), list(a.Rating), a.Brokers
	return nil
}

// list takes addresses of instances apart.
func list(addresses string) []string {
	if addresses == "" {
		return nil
	}
	return strings.Split(addresses, ",")
}

// Addresses lists where requests go.
func (t Targets) Addresses() []string {
	var all []string
	for _, d := range t.withDefaults().used() {
		all = append(all, t.of(d)...)
	}
	return all
}
