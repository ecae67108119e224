package server

import (
	"bufio"
	"context"
	"crypto/rand"
	"crypto/sha256"
	"crypto/subtle"
	"encoding/base64"
	"encoding/hex"
	"errors"
	"fmt"
	"net/http"
	"slices"
	"strings"
	"time"
)

// A Right is something that a caller may do.
type Right string

// The rights, each of its own: who operates need not see, and who sends hooks can do nothing else.
const (
	View    Right = "view"    // read rollouts, journals, reports and the page
	Deliver Right = "hook"    // send what deploy tools send: open and tell through /v1/hooks
	Operate Right = "operate" // open rollouts, hold, resume, extend, roll back, note, acknowledge
	Approve Right = "approve" // proceed without enough evidence; sign and stand down without being in the roster
)

// Rights lists them, for messages.
var Rights = []Right{View, Deliver, Operate, Approve}

// A Caller is who sends a request, as proved.
type Caller struct {
	Name   string
	Rights []Right
	// Services are those for which a right holds, by the right: SERVICE, SERVICE/ENVIRONMENT, or how that begins with a *
	// at the end. A right that is not among them holds for all.
	Services map[Right][]string
}

// May says whether the caller has a right, for some service at least.
func (c Caller) May(r Right) bool { return slices.Contains(c.Rights, r) }

// MayFor says whether the caller has a right for the target SERVICE/ENVIRONMENT.
func (c Caller) MayFor(r Right, target string) bool {
	services, limited := c.Services[r]
	return c.May(r) && (!limited || slices.ContainsFunc(services, func(named string) bool { return covers(named, target) }))
}

// MayForAll says whether the caller has a right for every service.
func (c Caller) MayForAll(r Right) bool {
	_, limited := c.Services[r]
	return c.May(r) && !limited
}

// covers says whether a target is among those that are named.
func covers(named, target string) bool {
	if beginning, open := strings.CutSuffix(named, "*"); open {
		return strings.HasPrefix(target, beginning)
	}
	return target == named || strings.HasPrefix(target, named+"/")
}

// give gives the caller a right for some services; none: for all. What it had it keeps.
func (c *Caller) give(r Right, services []string) {
	had, limited := c.Services[r]
	switch {
	case c.May(r) && !limited: // for all, already
		return
	case len(services) == 0:
		delete(c.Services, r)
	default:
		if c.Services == nil {
			c.Services = map[Right][]string{}
		}
		c.Services[r] = append(slices.Clone(had), services...)
	}
	if !c.May(r) {
		c.Rights = append(c.Rights, r)
	}
}

// Access says who may do what. The zero value lets nobody in.
type Access struct {
	Tokens []Token
	// Issuers vouch for callers whom no token of Tokens lets in.
	Issuers Issuers
	// Open lets everybody do everything. It is for loopback alone.
	Open bool

	// CookieKey seals the cookies of people whom an issuer has vouched for; empty: a random key, until the server ends.
	// Several servers that share a store need the same. CheckCookieKey says what is wrong with one.
	CookieKey string

	tries  *tries  // nil: as often as they like
	sealer *sealer // nil: nobody has a cookie that was sealed
}

// A Token is a secret that lets a caller in. Only its hash is kept.
type Token struct {
	Caller
	hash [sha256.Size]byte
}

// ErrUnknownToken says that nobody knows a token.
var ErrUnknownToken = errors.New("nobody knows this token")

// NewToken makes a secret of 256 bits, and the line of a file of tokens that lets it in.
func NewToken(name string, rights []Right) (secret, line string) {
	var random [32]byte
	_, _ = rand.Read(random[:]) // never fails: crypto/rand
	secret = "glv_" + base64.RawURLEncoding.EncodeToString(random[:])
	words := make([]string, len(rights))
	for i, r := range rights {
		words[i] = string(r)
	}
	sum := sha256.Sum256([]byte(secret))
	return secret, fmt.Sprintf("%s %s sha256:%s", name, strings.Join(words, ","), hex.EncodeToString(sum[:]))
}

// ParseTokens reads tokens, one a line: a name, its rights with commas between, and either sha256: with the hash of
// the secret in hexadecimal, or the secret itself of 20 characters or more. Empty lines and those that begin with # are
// left out. No message holds a secret.
func ParseTokens(text string) (tokens []Token, err error) {
	lines := bufio.NewScanner(strings.NewReader(text))
	for n := 1; lines.Scan(); n++ {
		line := strings.TrimSpace(lines.Text())
		if line == "" || line[0] == '#' {
			continue
		}
		fields := strings.Fields(line)
		if len(fields) != 3 {
			return nil, fmt.Errorf("line %d of the tokens: write NAME RIGHT,RIGHT sha256:HASH (golive serve token makes one)", n)
		}
		t := Token{Caller: Caller{Name: fields[0]}}
		if t.Rights, err = ParseRights(fields[1]); err != nil {
			return nil, fmt.Errorf("line %d of the tokens: %w", n, err)
		}
		if slices.ContainsFunc(tokens, func(other Token) bool { return other.Name == t.Name }) {
			return nil, fmt.Errorf("line %d of the tokens: there is another %s; give each its own name, which stands in the journal", n, t.Name)
		}
		if t.hash, err = hashOf(fields[2]); err != nil {
			return nil, fmt.Errorf("line %d of the tokens: %w", n, err)
		}
		tokens = append(tokens, t)
	}
	return tokens, lines.Err()
}

// ParseRights reads rights with commas between them.
func ParseRights(text string) (rights []Right, err error) {
	for word := range strings.SplitSeq(text, ",") {
		r := Right(word)
		if !slices.Contains(Rights, r) {
			return nil, fmt.Errorf("%q is no right; there are view, hook, operate and approve", word)
		}
		rights = append(rights, r)
	}
	return rights, nil
}

const shortestSecret = 20

func hashOf(text string) (hash [sha256.Size]byte, err error) {
	written, hashed := strings.CutPrefix(text, "sha256:")
	if !hashed {
		if len(text) < shortestSecret {
			return hash, fmt.Errorf("a secret of less than %d characters can be guessed", shortestSecret)
		}
		return sha256.Sum256([]byte(text)), nil
	}
	sum, err := hex.DecodeString(written)
	if err != nil || len(sum) != sha256.Size {
		return hash, errors.New("behind sha256: stand 64 hexadecimal digits")
	}
	return [sha256.Size]byte(sum), nil
}

// Guarded says whether callers have to prove who they are.
func (a Access) Guarded() bool { return !a.Open }

// errNobody says that a request carries nothing that could prove whose it is.
var errNobody = errors.New("say who you are: Authorization: Bearer TOKEN")

// caller says who sends a request. The zero caller may do nothing. The error is ErrIssuerAway while that cannot be
// known, and errTooOften for a host that has tried too many tokens which nobody knows.
func (a Access) caller(r *http.Request) (Caller, error) {
	if a.Open {
		return Caller{Rights: Rights}, nil
	}
	secret := secretOf(r)
	if secret == "" {
		return Caller{}, errNobody
	}
	return a.known(r, secret)
}

// known says whose the secret is that a request has brought.
func (a Access) known(r *http.Request, secret string) (Caller, error) {
	sum := sha256.Sum256([]byte(secret))
	if c, good := a.listed(sum); good { // whatever else comes from its host
		return c, nil
	}
	begin := a.tries.begin
	if strings.HasPrefix(secret, sealedBy) || a.Issuers.named(issuerOf(secret)) != nil {
		begin = a.tries.beginSigned
	}
	settle, err := begin(hostOf(r), sum, time.Now())
	if err != nil {
		return Caller{}, err
	}
	c, err := a.prove(r.Context(), secret)
	settle(err)
	return c, err
}

// listed says whose token has this hash.
func (a Access) listed(sum [sha256.Size]byte) (Caller, bool) {
	found := -1
	for i, t := range a.Tokens { // all of them, so that the time says nothing of which
		if subtle.ConstantTimeCompare(sum[:], t.hash[:]) == 1 {
			found = i
		}
	}
	if found < 0 {
		return Caller{}, false
	}
	return a.Tokens[found].Caller, true
}

// prove says whose a secret is that is no token of the list.
func (a Access) prove(ctx context.Context, secret string) (Caller, error) {
	if strings.HasPrefix(secret, sealedBy) {
		return a.person(secret, time.Now())
	}
	return a.Issuers.Identity(ctx, secret)
}

// CookieName is the cookie that keeps the token of a person who has signed in on the page.
const CookieName = "golive"

// secretOf finds the token of a request. Tools that can send no header put it into the password of a basic
// authentication, or into the address: that is no better than the care with which addresses are kept.
func secretOf(r *http.Request) string {
	if secret := bearer(r); secret != "" {
		return secret
	}
	if _, password, basic := r.BasicAuth(); basic {
		return password
	}
	if cookie, err := r.Cookie(CookieName); err == nil {
		return cookie.Value
	}
	return r.URL.Query().Get("token")
}

// bearer is the token in the header of a request, which only a program puts there. RFC 9110 has the scheme in any case.
func bearer(r *http.Request) string {
	scheme, secret, found := strings.Cut(r.Header.Get("Authorization"), " ")
	if !found || !strings.EqualFold(scheme, "Bearer") {
		return ""
	}
	return strings.TrimSpace(secret)
}

type callerKey struct{}

// as returns a context in which the caller is known.
func as(ctx context.Context, c Caller) context.Context {
	return context.WithValue(ctx, callerKey{}, c)
}

func callerOf(ctx context.Context) Caller {
	c, _ := ctx.Value(callerKey{}).(Caller)
	return c
}

// who is the name of the caller, as it stands in journals.
func who(ctx context.Context) string { return callerOf(ctx).Name }

// An origin is what the log says of a request beside its caller.
type origin struct {
	remote string
	right  Right // that let it in; empty: none was needed, or the handler has seen to it
}

type originKey struct{}

func originOf(ctx context.Context) origin {
	o, _ := ctx.Value(originKey{}).(origin)
	return o
}

func withOrigin(ctx context.Context, o origin) context.Context {
	return context.WithValue(ctx, originKey{}, o)
}
