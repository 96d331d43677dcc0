package loadtest

import (
	"movieexample.com/client"
	"movieexample.com/client/addresses"
)

// DefaultTargets returns the default addresses of a system, and the default requests.
func DefaultTargets() Targets {
	a := client.DefaultAddresses()
	return Targets{
		Gateways: []string{"http://127.0.0.1:8080"}, Movie: []string{"127.0.0.1:8083"},
		Metadata: []string{a.Metadata}, Rating: []string{a.Rating}, Brokers: a.Brokers, Topic: a.Topic,
		Mix: DefaultMix(), Connections: 8, Films: 10_000, Zipf: 1,
	}
}

// Locate takes the addresses from an addresses file; see [addresses.Read]. Endpoints that it does not name are then unknown.
func (t *Targets) Locate(file string) error {
	a, err := addresses.Read(file)
	if err != nil {
		return err
	}
	t.Gateways, t.Movie, t.Metadata, t.Rating, t.Brokers = a.Gateways, a.Movie, a.Metadata, a.Rating, a.Brokers
	return nil
}

// Addresses lists where requests go.
func (t Targets) Addresses() []string {
	var all []string
	for _, d := range t.withDefaults().used() {
		all = append(all, t.of(d)...)
	}
	return all
}
