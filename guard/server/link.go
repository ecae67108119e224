package server

import (
	"crypto/hkdf"
	"crypto/hmac"
	"crypto/rand"
	"crypto/sha256"
	"encoding/base64"
	"encoding/hex"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"strconv"
	"strings"
	"time"

	"github.com/golive-dev/golive/guard"
)

// This file is the link in a notice by which whoever gets it can take an incident on, from a telephone at night and
// without signing in. It can do that and nothing else, for one notice of one rollout and for a day. To open it changes
// nothing, for scanners of mail open what they find: that takes the button on its page. It is made at each delivery and
// kept nowhere, since whoever has it may use it.

// linkHolds is how long a link is good for.
const linkHolds = 24 * time.Hour

// A link is what an address says.
type link struct {
	Rollout, Notice string
	Expires         time.Time
	Seal            string // by which the server knows that it has made it
}

// CheckLinkKey says what is wrong with a key that signs links.
func CheckLinkKey(key string) error { return CheckCookieKey(key) }

// seal signs a link.
func (s *Server) seal(l link) string {
	key, err := hkdf.Key(sha256.New, []byte(s.LinkKey), nil, "golive link to acknowledge", sha256.Size)
	if err != nil {
		panic(err) // a key of this length can always be made
	}
	mac := hmac.New(sha256.New, key)
	for _, part := range []string{l.Rollout, l.Notice, strconv.FormatInt(l.Expires.Unix(), 10)} {
		_, _ = fmt.Fprintf(mac, "%d:%s", len(part), part) // a hash takes everything; no part can be taken for two
	}
	return base64.RawURLEncoding.EncodeToString(mac.Sum(nil))
}

// reply is the address at which a notice can be answered; empty: it cannot. Customers and vendors take nothing on, and what
// is over needs nobody.
func (s *Server) reply(n guard.Notice) string {
	if s.Address == "" || n.Ends || n.Audience != "team" && n.Audience != "management" {
		return ""
	}
	l := link{Rollout: n.Release.ID, Notice: n.Key, Expires: time.Now().Add(linkHolds)}
	l.Seal = s.seal(l)
	return strings.TrimRight(s.Address, "/") + "/ack?" + l.query().Encode()
}

func (l link) query() url.Values {
	return url.Values{"rollout": {l.Rollout}, "notice": {l.Notice}, "until": {strconv.FormatInt(l.Expires.Unix(), 10)}, "seal": {l.Seal}}
}

// What is wrong with a link.
var (
	errForged  = errors.New("this is no link of this server: it was changed on its way, or its key is another one by now")
	errExpired = errors.New("this link has expired: sign in, or take the one of a later notice")
)

// linkOf reads the link of a request, and says what is wrong with it. Nothing is believed before its seal.
func (s *Server) linkOf(q url.Values, now time.Time) (link, error) {
	seconds, err := strconv.ParseInt(q.Get("until"), 10, 64)
	l := link{Rollout: q.Get("rollout"), Notice: q.Get("notice"), Expires: time.Unix(seconds, 0), Seal: q.Get("seal")}
	switch {
	case err != nil, !hmac.Equal([]byte(s.seal(l)), []byte(l.Seal)):
		return link{}, errForged
	case !now.Before(l.Expires):
		return link{}, errExpired
	}
	return l, nil
}

// An ackPage asks whether somebody takes an incident on.
type ackPage struct {
	shown
	Query url.Values // of the link, for the form
	Done  bool
	Name  string // who has taken notice now
	By    string // who has before
}

// links adds the two routes of a link, for which nobody signs in.
func (s *Server) links(mux *http.ServeMux) {
	for pattern, serve := range map[string]func(http.ResponseWriter, *http.Request, link) error{
		"GET /ack": s.askAck, "POST /ack": s.takeAck,
	} {
		mux.HandleFunc(pattern, func(w http.ResponseWriter, r *http.Request) {
			protect(w.Header())
			w.Header().Set("Referrer-Policy", "strict-origin") // what the page loads is not told the link
			w.Header().Set("X-Robots-Tag", "noindex")
			r.Body = http.MaxBytesReader(w, r.Body, largestBody)
			r, done := bounded(r)
			defer done()
			l, err := s.linkOf(r.URL.Query(), time.Now())
			if err == nil {
				err = serve(w, r, l)
			} else {
				s.refused(r, "", err.Error())
			}
			if err != nil {
				s.troubled(w, r, err)
			}
		})
	}
}

// acking is the rollout of a link, as its page shows it.
func (s *Server) acking(r *http.Request, l link) (history, ackPage, error) {
	r.SetPathValue("id", l.Rollout)
	h, one, err := s.rollout(r)
	r.SetPathValue("id", "") // whoever has the link alone cannot go to the page of the rollout
	if err != nil {
		return h, ackPage{}, err
	}
	page := ackPage{shown: s.show(h, one, time.Now()), Query: l.query(), By: h.state.Acknowledged}
	if h.state.Ended() {
		return h, page, guard.ErrOver
	}
	return h, page, nil
}

func (s *Server) askAck(w http.ResponseWriter, r *http.Request, l link) error {
	_, page, err := s.acking(r, l)
	if err != nil {
		return err
	}
	s.write(w, r, http.StatusOK, "ack.html", "Take it on", page)
	return nil
}

// takeAck records that somebody has taken notice. The link proves that the notice has reached its reader, and not who that
// is: the name that was written stands behind it as said. It is recorded once for each name, however often it is sent.
func (s *Server) takeAck(w http.ResponseWriter, r *http.Request, l link) error {
	if err := form(r); err != nil {
		return err
	}
	_, page, err := s.acking(r, l)
	if err != nil {
		return err
	}
	name := guard.Line(r.PostForm.Get("name"), longestWritten)
	sum := sha256.Sum256([]byte(strings.Join([]string{l.Rollout, l.Notice, name}, "\x00")))
	delivery := guard.Delivery{ID: "link/" + hex.EncodeToString(sum[:16]), Source: "link", By: byLink, At: clock(), Body: []byte(name)}
	if err := s.Desk().Tell(r.Context(), delivery, l.Rollout, guard.Acknowledged{By: name}); err != nil {
		return err
	}
	if page.Done, page.Name = true, name; page.By == acknowledgedBy(name) {
		page.By = "" // it was the same reader
	}
	s.write(w, r, http.StatusOK, "ack.html", "Taken on", page)
	return nil
}

// byLink is who has sent what comes through a link, as far as that is proved.
const byLink = "link"

// acknowledgedBy is how a name that was written stands in the records.
func acknowledgedBy(name string) string {
	f, _ := by(guard.Acknowledged{By: name}, byLink, byLink).(guard.Acknowledged)
	return f.By
}

// longestWritten is how many characters of a name are kept that somebody has written.
const longestWritten = 80

// NewLinkKey makes a key that nobody can guess.
func NewLinkKey() string { return rand.Text() + rand.Text() }
