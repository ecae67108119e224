package main

import (
	"io"
	"net"
	"slices"
	"strings"
	"sync"
	"testing"

	"github.com/emersion/go-smtp"
)

// A letter is a mail as it arrived.
type letter struct{ to, text string }

// A postbox is where a real SMTP server puts what it takes.
type postbox struct {
	mu      sync.Mutex
	letters []letter
}

// postOffice starts a real SMTP server, and returns its address and what looks into its postbox.
func postOffice(t *testing.T) (address string, letters func() []letter) {
	t.Helper()
	box := &postbox{}
	s := smtp.NewServer(box)
	s.Domain = "mail.test"
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	done := make(chan error, 1)
	go func() { done <- s.Serve(l) }()
	t.Cleanup(func() {
		_ = s.Close()
		<-done
	})
	return l.Addr().String(), func() []letter {
		box.mu.Lock()
		defer box.mu.Unlock()
		return slices.Clone(box.letters)
	}
}

func (p *postbox) NewSession(*smtp.Conn) (smtp.Session, error) { return &posting{postbox: p}, nil }

// posting is one connection to it.
type posting struct {
	*postbox
	to []string
}

func (p *posting) Mail(string, *smtp.MailOptions) error { return nil }

func (p *posting) Rcpt(to string, _ *smtp.RcptOptions) error {
	p.to = append(p.to, to)
	return nil
}

func (p *posting) Data(r io.Reader) error {
	text, err := io.ReadAll(r)
	if err != nil {
		return err
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	p.letters = append(p.letters, letter{strings.Join(p.to, ","), string(text)})
	return nil
}

func (p *posting) Reset()        { p.to = nil }
func (p *posting) Logout() error { return nil }
