package main

import (
	"crypto/tls"
	"fmt"
	"os"
	"sync"
	"time"
)

// keyPair is a certificate and its key in files, read again when they change: whoever renews a certificate need not
// tell the server.
type keyPair struct {
	cert, key string

	mu      sync.Mutex
	changed [2]time.Time
	pair    *tls.Certificate
}

// load is for tls.Config. A pair that cannot be read, or does not fit, leaves the last one in use.
func (k *keyPair) load(*tls.ClientHelloInfo) (*tls.Certificate, error) {
	k.mu.Lock()
	defer k.mu.Unlock()
	var changed [2]time.Time
	for i, name := range []string{k.cert, k.key} {
		if info, err := os.Stat(name); err == nil {
			changed[i] = info.ModTime()
		}
	}
	if k.pair != nil && changed == k.changed {
		return k.pair, nil
	}
	pair, err := tls.LoadX509KeyPair(k.cert, k.key)
	if err != nil && k.pair == nil {
		return nil, fmt.Errorf("the certificate for HTTPS: %w", err)
	}
	if err == nil {
		k.pair, k.changed = &pair, changed
	}
	return k.pair, nil
}
