package main

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/sha256"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/hex"
	"encoding/pem"
	"math/big"
	"net"
	"os"
	"time"
)

// The certificate that the file keeps, so that a server started anew is the same one; and its thumbprint.
func identityIn(file string) (tls.Certificate, string) {
	if file == "" {
		return pair(selfSigned())
	}
	kept, err := os.ReadFile(file)
	if err != nil {
		kept = selfSigned()
		if err := os.WriteFile(file, kept, 0o600); err != nil {
			fail(err)
		}
	}
	return pair(kept)
}

func pair(pems []byte) (tls.Certificate, string) {
	certificate, err := tls.X509KeyPair(pems, pems)
	if err != nil {
		fail(err)
	}
	sum := sha256.Sum256(certificate.Certificate[0])
	return certificate, hex.EncodeToString(sum[:])
}

// A new key and its certificate.
func selfSigned() []byte {
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		fail(err)
	}
	template := &x509.Certificate{
		SerialNumber: big.NewInt(time.Now().UnixNano()),
		Subject:      pkix.Name{CommonName: "vcenter.test"},
		NotBefore:    time.Now().Add(-time.Hour),
		NotAfter:     time.Now().Add(24 * time.Hour),
		IPAddresses:  []net.IP{net.IPv4(127, 0, 0, 1)},
		KeyUsage:     x509.KeyUsageDigitalSignature,
		ExtKeyUsage:  []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth},
	}
	der, err := x509.CreateCertificate(rand.Reader, template, template, &key.PublicKey, key)
	if err != nil {
		fail(err)
	}
	private, err := x509.MarshalECPrivateKey(key)
	if err != nil {
		fail(err)
	}
	return append(
		pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: der}),
		pem.EncodeToMemory(&pem.Block{Type: "EC PRIVATE KEY", Bytes: private})...,
	)
}
