package server

import (
	"cmp"
	"context"
	"crypto/aes"
	"crypto/cipher"
	"crypto/hkdf"
	"crypto/rand"
	"crypto/sha256"
	"crypto/subtle"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"strings"
	"time"

	"github.com/coreos/go-oidc/v3/oidc"
	"golang.org/x/oauth2"

	"github.com/golive-dev/golive/guard"
)

// How long a browser is known, and how long somebody may take to sign in elsewhere.
const (
	signedInFor = 12 * time.Hour
	signInFor   = 10 * time.Minute
	// largestCookie is what every browser keeps, with its name and attributes.
	largestCookie = 3800
)

// A sealer makes cookies that the server alone can make, and read. Each is for one purpose, and of no use for another.
type sealer struct{ secret []byte }

// shortestCookieKey is how much of a key cannot be guessed, in bytes, if it is random.
const shortestCookieKey = 32

// newSealer takes the key that several servers share; an empty one stands for a random one, with which who has signed
// in is known until the server ends.
func newSealer(key string) *sealer {
	if key == "" {
		key = rand.Text() + rand.Text()
	}
	return &sealer{[]byte(key)}
}

// CheckCookieKey says what is wrong with a key; an empty one is good.
func CheckCookieKey(key string) error {
	if key != "" && len(key) < shortestCookieKey {
		return fmt.Errorf("a key of less than %d characters can be guessed: openssl rand -base64 32 makes one", shortestCookieKey)
	}
	return nil
}

func (s *sealer) box(purpose string) (cipher.AEAD, error) {
	key, err := hkdf.Key(sha256.New, s.secret, nil, "golive cookie "+purpose, 32)
	if err != nil {
		return nil, err
	}
	block, err := aes.NewCipher(key)
	if err != nil {
		return nil, err
	}
	return cipher.NewGCMWithRandomNonce(block)
}

func (s *sealer) seal(purpose string, value any) (string, error) {
	text, err := json.Marshal(value)
	if err != nil {
		return "", err
	}
	box, err := s.box(purpose)
	if err != nil {
		return "", err
	}
	return base64.RawURLEncoding.EncodeToString(box.Seal(nil, nil, text, nil)), nil
}

// open reads what seal has made into a value, and says whether it could.
func (s *sealer) open(purpose, sealed string, into any) bool {
	text, err := base64.RawURLEncoding.DecodeString(sealed)
	if err != nil {
		return false
	}
	box, err := s.box(purpose)
	if err != nil {
		return false
	}
	plain, err := box.Open(nil, nil, text, nil)
	return err == nil && json.Unmarshal(plain, into) == nil
}

// A signedIn is what the browser of a person keeps, sealed, whom an issuer has vouched for: what it claims, and not what
// the person may do, which the grants of today say.
type signedIn struct {
	Claims  map[string]any `json:"claims"` // those that grants ask for
	Issuer  string         `json:"issuer"`
	Expires time.Time      `json:"expires"`
}

// sessions is the purpose of the cookies that hold a signedIn. Those of an older golive, which held rights, are of no use.
const sessions = "session of claims"

// sealedBy is how the value of the cookie begins that holds a signedIn. No token does: it has a character that none of
// golive's own has, and is no JWT.
const sealedBy = "sealed~"

// person is who has signed in, as the cookie of the browser says.
func (a Access) person(cookie string, now time.Time) (Caller, error) {
	sealed, ours := strings.CutPrefix(cookie, sealedBy)
	var p signedIn
	if !ours || a.sealer == nil || !a.sealer.open(sessions, sealed, &p) {
		return Caller{}, ErrUnknownToken
	}
	if !now.Before(p.Expires) {
		return Caller{}, errors.New("you have been signed in for long: sign in again")
	}
	issuer := a.Issuers.named(p.Issuer)
	if issuer == nil {
		return Caller{}, ErrUnknownToken
	}
	c := issuer.callerOf(p.Claims)
	if len(c.Rights) == 0 {
		return Caller{}, errors.New("no grant fits you any more: sign in again")
	}
	return c, nil
}

// A leaving is what the browser keeps, sealed, while a person signs in at an issuer.
type leaving struct {
	State    string    `json:"state"`
	Nonce    string    `json:"nonce"`
	Verifier string    `json:"verifier"` // of PKCE
	Issuer   string    `json:"issuer"`
	Next     string    `json:"next"`
	Expires  time.Time `json:"expires"`
}

const leavingCookie = "golive_login"

// signIn adds the routes by which a person comes and goes.
func (s *Server) signIn(mux *http.ServeMux) {
	for pattern, serve := range map[string]func(http.ResponseWriter, *http.Request) error{
		"GET /login": s.askToken, "POST /login": s.takeToken, "GET /login/with": s.leave, "GET /login/callback": s.comeBack, "POST /logout": s.signOut,
	} {
		mux.HandleFunc(pattern, func(w http.ResponseWriter, r *http.Request) {
			protect(w.Header())
			r.Body = http.MaxBytesReader(w, r.Body, largestBody)
			r, done := bounded(r)
			defer done()
			if !s.Access.Guarded() {
				http.Redirect(w, r, "/", http.StatusSeeOther) // there is nobody to be
				return
			}
			if err := serve(w, r); err != nil {
				s.troubled(w, r, err)
			}
		})
	}
}

// A loginPage asks who somebody is.
type loginPage struct {
	Problem, Next string
	Issuers       []loginIssuer
}

type loginIssuer struct{ Title, Query string }

func (s *Server) askToken(w http.ResponseWriter, r *http.Request) error {
	s.login(w, r, http.StatusOK, "", within(r.URL.Query().Get("next")))
	return nil
}

func (s *Server) login(w http.ResponseWriter, r *http.Request, status int, problem, next string) {
	p := loginPage{Problem: problem, Next: next}
	for _, i := range s.Access.Issuers {
		if i.ClientID != "" {
			p.Issuers = append(p.Issuers, loginIssuer{i.Title, url.Values{"issuer": {i.URL}, "next": {next}}.Encode()})
		}
	}
	s.write(w, r, status, "login.html", "Sign in", p)
}

// takeToken has the browser keep a token that is good.
func (s *Server) takeToken(w http.ResponseWriter, r *http.Request) error {
	if err := r.ParseForm(); err != nil {
		return cmp.Or[error](asTooLarge(err), badRequest("the form cannot be read"))
	}
	token, next := strings.TrimSpace(r.PostForm.Get("token")), within(r.PostForm.Get("next"))
	if token == "" {
		s.login(w, r, http.StatusBadRequest, "Write your token.", next)
		return nil
	}
	caller, err := s.Access.known(r, token)
	switch {
	case errors.Is(err, ErrIssuerAway), errors.Is(err, errTooOften):
		s.refused(r, "", err.Error())
		w.Header().Set("Retry-After", "60")
		s.login(w, r, statusOf(err), "It cannot be said just now whose token this is: "+plainly(err)+".", next)
	case err != nil:
		s.refused(r, "", err.Error())
		s.login(w, r, http.StatusUnauthorized, "This does not let you in: "+plainly(err)+".", next)
	case !keepable(token):
		s.login(w, r, http.StatusBadRequest, "A browser cannot keep this token: it is too long, or has a character that no cookie may have. Ask for one that golive has made.", next)
	default:
		s.signedIn(w, r, caller, token, signedInFor)
		http.Redirect(w, r, next, http.StatusSeeOther)
	}
	return nil
}

// plainly is an error as a person at the page is told it.
func plainly(err error) string {
	if errors.Is(err, ErrIssuerAway) {
		return ErrIssuerAway.Error()
	}
	return err.Error()
}

func asTooLarge(err error) error {
	var large *http.MaxBytesError
	if errors.As(err, &large) {
		return large
	}
	return nil
}

// keepable says whether a token can be the value of a cookie (RFC 6265).
func keepable(token string) bool {
	return len(token) <= largestCookie && !strings.ContainsFunc(token, func(r rune) bool {
		return r <= ' ' || r >= 0x7f || strings.ContainsRune(`",;\`, r)
	})
}

// within is a place on this server to go on at; the beginning where it is none.
func within(next string) string {
	u, err := url.Parse(next)
	if err != nil || u.Scheme != "" || u.Host != "" || u.User != nil || !strings.HasPrefix(u.Path, "/") || strings.HasPrefix(u.Path, "//") ||
		strings.ContainsAny(next, "\\\r\n\t") {
		return "/"
	}
	return (&url.URL{Path: u.Path, RawQuery: u.RawQuery}).String()
}

// secured says whether the browser speaks TLS, to the server or to what stands in front of it.
func secured(r *http.Request) bool {
	return r.TLS != nil || strings.EqualFold(r.Header.Get("X-Forwarded-Proto"), "https")
}

func (s *Server) signedIn(w http.ResponseWriter, r *http.Request, c Caller, cookie string, longest time.Duration) {
	http.SetCookie(w, &http.Cookie{
		Name: CookieName, Value: cookie, Path: "/", MaxAge: int(longest.Seconds()), HttpOnly: true, Secure: secured(r), SameSite: http.SameSiteStrictMode,
	})
	s.Log.Info("signed in", "by", c.Name, "remote", r.RemoteAddr)
}

// leave sends the browser to the issuer.
func (s *Server) leave(w http.ResponseWriter, r *http.Request) error {
	issuer := s.Access.Issuers.forPeople(r.URL.Query().Get("issuer"))
	if issuer == nil {
		return badRequest("people do not sign in with this issuer here")
	}
	provider, _, err := issuer.known(r.Context())
	if err != nil {
		return err
	}
	l := leaving{
		State: rand.Text(), Nonce: rand.Text(), Verifier: oauth2.GenerateVerifier(), Issuer: issuer.URL,
		Next: within(r.URL.Query().Get("next")), Expires: time.Now().Add(signInFor),
	}
	sealed, err := s.Access.sealer.seal("login", l)
	if err != nil {
		return err
	}
	// Lax, for the issuer sends the browser back from another site.
	http.SetCookie(w, &http.Cookie{
		Name: leavingCookie, Value: sealed, Path: "/login", MaxAge: int(signInFor.Seconds()), HttpOnly: true, Secure: secured(r), SameSite: http.SameSiteLaxMode,
	})
	http.Redirect(w, r, issuer.client(provider, r).AuthCodeURL(l.State, oidc.Nonce(l.Nonce), oauth2.S256ChallengeOption(l.Verifier)), http.StatusSeeOther)
	return nil
}

// forPeople is the issuer of this URL, if people can sign in with it.
func (all Issuers) forPeople(named string) *Issuer {
	for _, i := range all {
		if i.URL == named && i.ClientID != "" {
			return i
		}
	}
	return nil
}

func (i *Issuer) client(provider *oidc.Provider, r *http.Request) *oauth2.Config {
	scheme := "http"
	if secured(r) {
		scheme = "https"
	}
	return &oauth2.Config{
		ClientID: i.ClientID, ClientSecret: i.secret, Endpoint: provider.Endpoint(), RedirectURL: scheme + "://" + r.Host + "/login/callback",
		Scopes: append([]string{oidc.ScopeOpenID, "email", "profile"}, i.Scopes...),
	}
}

// comeBack takes what the issuer says of a person who has left from here, and in this browser.
func (s *Server) comeBack(w http.ResponseWriter, r *http.Request) error {
	q := r.URL.Query()
	var l leaving
	cookie, err := r.Cookie(leavingCookie)
	if err != nil || !s.Access.sealer.open("login", cookie.Value, &l) || time.Now().After(l.Expires) {
		return badRequest("this browser has not begun to sign in here, or has taken more than ten minutes: begin again")
	}
	http.SetCookie(w, &http.Cookie{Name: leavingCookie, Path: "/login", MaxAge: -1, HttpOnly: true, Secure: secured(r), SameSite: http.SameSiteLaxMode})
	issuer := s.Access.Issuers.forPeople(l.Issuer)
	switch {
	case issuer == nil, subtle.ConstantTimeCompare([]byte(q.Get("state")), []byte(l.State)) != 1, q.Get("iss") != "" && q.Get("iss") != l.Issuer:
		s.refused(r, "", "an answer to another sign-in")
		return badRequest("this answers another sign-in: begin again")
	case q.Get("error") != "":
		s.refused(r, "", "the issuer says "+guard.Line(q.Get("error"), 100))
		return forbidden(fmt.Sprintf("%s says: %s", issuer.Title, guard.Line(cmp.Or(q.Get("error_description"), q.Get("error")), 200)))
	}
	claims, err := issuer.redeem(r, q.Get("code"), l)
	if errors.Is(err, ErrIssuerAway) {
		return err
	}
	if err != nil {
		s.refused(r, "", err.Error())
		return forbidden(fmt.Sprintf("%s does not vouch for you: sign in again.", issuer.Title))
	}
	caller := issuer.callerOf(claims)
	if len(caller.Rights) == 0 {
		s.refused(r, caller.Name, "no grant fits")
		return forbidden(fmt.Sprintf("%s knows you as %s, and no grant of golive fits. Ask who keeps its file of issuers.", issuer.Title, caller.Name))
	}
	sealed, err := s.Access.sealer.seal(sessions, signedIn{issuer.asked(claims), issuer.URL, time.Now().Add(signedInFor)})
	if err != nil {
		return err
	}
	if len(sealed) > largestCookie {
		return forbidden("what is known of you is too long for a cookie: have grants match fewer of your groups")
	}
	s.signedIn(w, r, caller, sealedBy+sealed, signedInFor)
	// A redirect would be the last step of a way from another site, on which no browser sends a cookie that is strict.
	w.Header().Set("Refresh", "0; url="+l.Next)
	w.Header().Set("Content-Type", "text/plain; charset=utf-8")
	_, _ = fmt.Fprintf(w, "You are signed in as %s.\n", caller.Name)
	return nil
}

// redeem gives the code of an issuer back to it for the claims of the person.
func (i *Issuer) redeem(r *http.Request, code string, l leaving) (map[string]any, error) {
	provider, _, err := i.known(r.Context())
	if err != nil {
		return nil, err
	}
	ctx, done := context.WithTimeout(r.Context(), issuerWithin)
	defer done()
	tokens, err := i.client(provider, r).Exchange(ctx, code, oauth2.VerifierOption(l.Verifier))
	var answered *oauth2.RetrieveError
	switch {
	case errors.As(err, &answered) && answered.Response.StatusCode < http.StatusInternalServerError:
		return nil, fmt.Errorf("the issuer does not take its code back: %s", guard.Line(cmp.Or(answered.ErrorCode, answered.Response.Status), 100))
	case err != nil:
		return nil, fmt.Errorf("%w (%s)", ErrIssuerAway, i.URL)
	}
	raw, _ := tokens.Extra("id_token").(string)
	if raw == "" {
		return nil, errors.New("the issuer has given no ID token")
	}
	return i.verify(ctx, raw, i.ClientID, l.Nonce)
}

// signOut has the browser forget who it was.
func (s *Server) signOut(w http.ResponseWriter, r *http.Request) error {
	http.SetCookie(w, &http.Cookie{Name: CookieName, Path: "/", MaxAge: -1, HttpOnly: true, Secure: secured(r), SameSite: http.SameSiteStrictMode})
	http.Redirect(w, r, "/login", http.StatusSeeOther)
	return nil
}
