//go:build servers

package discovery_test

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"math/big"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"testing"
	"time"

	"google.golang.org/grpc"
	testpb "google.golang.org/grpc/interop/grpc_testing"

	"movieexample.com/internal/discovery"
)

// authority makes certificates.
type authority struct {
	dir, caFile string
	cert        *x509.Certificate
	key         *ecdsa.PrivateKey
}

func newAuthority(t *testing.T, name string) *authority {
	t.Helper()
	a := &authority{dir: t.TempDir()}
	a.caFile = a.issue(t, name).certFile
	return a
}

type certFiles struct{ certFile, keyFile string }

// issue makes a certificate for 127.0.0.1, or the authority's own where it has none yet.
func (a *authority) issue(t *testing.T, name string) certFiles {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	template := &x509.Certificate{
		SerialNumber: big.NewInt(time.Now().UnixNano()), Subject: pkix.Name{CommonName: name},
		NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(time.Hour),
		KeyUsage: x509.KeyUsageDigitalSignature, ExtKeyUsage: []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth, x509.ExtKeyUsageClientAuth},
		IPAddresses: []net.IP{net.IPv4(127, 0, 0, 1)}, DNSNames: []string{name},
	}
	parent, signer := a.cert, a.key
	if parent == nil {
		template.IsCA, template.BasicConstraintsValid, template.KeyUsage = true, true, x509.KeyUsageCertSign
		parent, signer = template, key
	}
	der, err := x509.CreateCertificate(rand.Reader, template, parent, &key.PublicKey, signer)
	if err != nil {
		t.Fatal(err)
	}
	if a.cert == nil {
		if a.cert, err = x509.ParseCertificate(der); err != nil {
			t.Fatal(err)
		}
		a.key = key
	}
	keyDER, err := x509.MarshalPKCS8PrivateKey(key)
	if err != nil {
		t.Fatal(err)
	}
	files := certFiles{filepath.Join(a.dir, name+".pem"), filepath.Join(a.dir, name+"-key.pem")}
	for file, block := range map[string]*pem.Block{
		files.certFile: {Type: "CERTIFICATE", Bytes: der},
		files.keyFile:  {Type: "PRIVATE KEY", Bytes: keyDER},
	} {
		if err := os.WriteFile(file, pem.EncodeToMemory(block), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	return files
}

// Over TLS both ends show certificates, and a wrong one of either is said in the log.
func TestConsulTLS(t *testing.T) {
	t.Parallel()
	ca, stranger := newAuthority(t, "ca"), newAuthority(t, "stranger")
	server, client, strange := ca.issue(t, "consul.example"), ca.issue(t, "movieexample"), stranger.issue(t, "movieexample")
	a := newAgent(t, "-dev")
	a.ports["https"], a.ports["http"] = a.ports["http"], -1
	a.config["tls"] = map[string]any{"defaults": map[string]any{
		"ca_file": ca.caFile, "cert_file": server.certFile, "key_file": server.keyFile, "verify_incoming": true,
	}, "internal_rpc": map[string]any{"verify_incoming": false}}
	pair, err := tls.LoadX509KeyPair(client.certFile, client.keyFile)
	if err != nil {
		t.Fatal(err)
	}
	roots := x509.NewCertPool()
	roots.AddCert(ca.cert)
	a.client = &http.Client{Transport: &http.Transport{DisableKeepAlives: true, TLSClientConfig: &tls.Config{RootCAs: roots, Certificates: []tls.Certificate{pair}}}}
	a.start(t)

	spec := func(ca string, cert certFiles) string {
		return "consul://" + a.addr() + "?tls=true&ca_file=" + ca + "&cert_file=" + cert.certFile + "&key_file=" + cert.keyFile
	}
	good := spec(ca.caFile, client)
	for _, row := range []struct{ name, spec, want string }{
		{"a strange authority", spec(stranger.caFile, client), "certificate signed by unknown authority"},
		{"a strange certificate", spec(ca.caFile, strange), "remote error: tls: "},
		{"another name", good + "&server_name=other.example", "certificate is valid for "},
		{"no TLS", "consul://" + a.addr(), "HTTP request to an HTTPS server"},
	} {
		t.Run(row.name, func(t *testing.T) {
			log := &lines{}
			reg := open(t, row.spec, discovery.Options{Logger: log.logger()})
			if _, err := testpb.NewTestServiceClient(dialRating(t, reg)).UnaryCall(t.Context(), &testpb.SimpleRequest{}); err == nil {
				t.Error("the call succeeded, want an error")
			}
			log.expect(t, row.want)
		})
	}
	for _, spec := range []string{good, good + "&server_name=consul.example"} {
		p := startProcess(t, spec, "127.0.0.1:0")
		reg := open(t, spec, discovery.Options{})
		if _, err := testpb.NewTestServiceClient(dialRating(t, reg)).UnaryCall(t.Context(), &testpb.SimpleRequest{}, grpc.WaitForReady(true)); err != nil {
			t.Errorf("%s: %v", spec, err)
		}
		p.stop(t)
	}
}
