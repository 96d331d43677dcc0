//go:build linux

package servers

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"fmt"
	"math/big"
	"net"
	"os"
	"path/filepath"
	"time"
)

// Authority is a certificate authority of one server's own, valid for a day.
type Authority struct {
	// CAFile is the authority's certificate: what a client trusts.
	CAFile string
	// ClientCertFile and ClientKeyFile are a client's, signed by the authority.
	ClientCertFile, ClientKeyFile string

	serverCert, serverKey string
	serverPEM             string // key and certificate in one file, as Kafka wants them
}

// newAuthority makes the certificates and keys, PEM files in a directory tls of dir.
func newAuthority(dir string) (*Authority, error) {
	dir = filepath.Join(dir, "tls")
	if err := os.MkdirAll(dir, 0o755); err != nil {
		return nil, fmt.Errorf("make certificates: %w", err)
	}
	caKey, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		return nil, fmt.Errorf("make certificates: %w", err)
	}
	now := time.Now()
	ca := &x509.Certificate{
		SerialNumber: big.NewInt(now.UnixNano()), Subject: pkix.Name{CommonName: "MovieExample test authority"},
		NotBefore: now.Add(-time.Hour), NotAfter: now.Add(24 * time.Hour),
		IsCA: true, BasicConstraintsValid: true, KeyUsage: x509.KeyUsageCertSign,
	}
	signed, err := x509.CreateCertificate(rand.Reader, ca, ca, &caKey.PublicKey, caKey)
	if err != nil {
		return nil, fmt.Errorf("make certificates: %w", err)
	}
	write := func(name string, blocks ...*pem.Block) (string, error) {
		var text []byte
		for _, b := range blocks {
			text = append(text, pem.EncodeToMemory(b)...)
		}
		file := filepath.Join(dir, name)
		return file, os.WriteFile(file, text, 0o644) // a test's secret, which a server of another user reads
	}
	a := &Authority{}
	if a.CAFile, err = write("ca.pem", &pem.Block{Type: "CERTIFICATE", Bytes: signed}); err != nil {
		return nil, fmt.Errorf("make certificates: %w", err)
	}
	issue := func(serial int64, name string, use x509.ExtKeyUsage) (certificate, key *pem.Block, err error) {
		private, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
		if err != nil {
			return nil, nil, err
		}
		der, err := x509.CreateCertificate(rand.Reader, &x509.Certificate{
			SerialNumber: big.NewInt(serial), Subject: pkix.Name{CommonName: name},
			NotBefore: ca.NotBefore, NotAfter: ca.NotAfter,
			KeyUsage: x509.KeyUsageDigitalSignature, ExtKeyUsage: []x509.ExtKeyUsage{use},
			// Consul asks its servers for a name of this form.
			DNSNames:    []string{"localhost", "server.dc1.consul"},
			IPAddresses: []net.IP{net.IPv4(127, 0, 0, 1)},
		}, ca, &private.PublicKey, caKey)
		if err != nil {
			return nil, nil, err
		}
		pkcs8, err := x509.MarshalPKCS8PrivateKey(private)
		if err != nil {
			return nil, nil, err
		}
		return &pem.Block{Type: "CERTIFICATE", Bytes: der}, &pem.Block{Type: "PRIVATE KEY", Bytes: pkcs8}, nil
	}
	certificate, key, err := issue(1, "server", x509.ExtKeyUsageServerAuth)
	if err != nil {
		return nil, fmt.Errorf("make the server's certificate: %w", err)
	}
	clientCertificate, clientKey, err := issue(2, "client", x509.ExtKeyUsageClientAuth)
	if err != nil {
		return nil, fmt.Errorf("make a client's certificate: %w", err)
	}
	for _, f := range []struct {
		path   *string
		name   string
		blocks []*pem.Block
	}{
		{&a.serverCert, "server.pem", []*pem.Block{certificate}},
		{&a.serverKey, "server-key.pem", []*pem.Block{key}},
		{&a.serverPEM, "server-both.pem", []*pem.Block{key, certificate}},
		{&a.ClientCertFile, "client.pem", []*pem.Block{clientCertificate}},
		{&a.ClientKeyFile, "client-key.pem", []*pem.Block{clientKey}},
	} {
		if *f.path, err = write(f.name, f.blocks...); err != nil {
			return nil, fmt.Errorf("make certificates: %w", err)
		}
	}
	return a, nil
}
