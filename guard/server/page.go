package server

import (
	"bytes"
	"cmp"
	"crypto/rand"
	"crypto/sha256"
	"embed"
	"encoding/hex"
	"errors"
	"fmt"
	"html/template"
	"io"
	"io/fs"
	"net/http"
	"net/url"
	"path"
	"strconv"
	"strings"
	"time"

	"github.com/golive-dev/golive/guard"
)

// This file is the page for people: what it answers, and what it takes from its forms. page_rollout.go says what
// stands on it, page_words.go in which words, page_chart.go draws. The rest lies in the directory page.

//go:embed page
var pageFiles embed.FS

// policy lets a browser load what the server itself brings, and nothing else: whatever a text of others holds, it is
// neither run nor fetched.
const policy = "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self'; connect-src 'self'; " +
	"form-action 'self'; base-uri 'none'; frame-ancestors 'none'"

// pages adds what people look at, and the forms by which they act.
func (s *Server) pages(mux *http.ServeMux) {
	for _, p := range []struct {
		pattern string
		right   Right
		serve   func(http.ResponseWriter, *http.Request) error
	}{
		{"GET /{$}", View, s.pageOfAll},
		{"GET /rollouts/{id}", View, s.pageOfOne},
		{"POST /rollouts/{id}/orders", Operate, s.formOrder},
		{"POST /rollouts/{id}/notes", Operate, s.formNote},
		{"POST /rollouts/{id}/acknowledgement", Operate, s.formAcknowledge},
		{"POST /rollouts/{id}/statements", Operate, s.formState},
	} {
		mux.Handle(p.pattern, s.person(p.right, p.serve))
	}
	mux.HandleFunc("GET /assets/{name}", serveAsset)
}

// person serves a page to who has the right to see it. Who has not said who he is, is asked to.
func (s *Server) person(right Right, serve func(http.ResponseWriter, *http.Request) error) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		protect(w.Header())
		r.Body = http.MaxBytesReader(w, r.Body, largestBody)
		r, done := bounded(r)
		defer done()
		caller, err := s.Access.caller(r)
		if status := statusOf(err); err != nil && status != http.StatusUnauthorized {
			s.refused(r, "", err.Error())
			s.troubled(w, r, err)
			return
		}
		if err != nil {
			s.refused(r, "", err.Error())
			to := "/login"
			if r.Method == http.MethodGet || r.Method == http.MethodHead {
				q := r.URL.Query()
				q.Del("token") // a secret does not go from address to address
				to += "?next=" + url.QueryEscape((&url.URL{Path: r.URL.Path, RawQuery: q.Encode()}).String())
			}
			http.Redirect(w, r, to, http.StatusSeeOther)
			return
		}
		if s.takeFromAddress(w, r, caller) {
			return
		}
		r = r.WithContext(withOrigin(as(r.Context(), caller), origin{r.RemoteAddr, right}))
		if !caller.May(right) {
			s.refused(r, caller.Name, "has not the right "+string(right))
			err = forbidden(fmt.Sprintf("%s may not do this: it takes the right %q. Ask who keeps the tokens of golive, or sign in as somebody else.", cmp.Or(caller.Name, "This caller"), right))
		} else {
			err = serve(w, r)
		}
		if err != nil {
			s.troubled(w, r, err)
		}
	})
}

// takeFromAddress has the browser keep a token that came in the address of a page, and look at the page without it: what the
// page itself asks for has no token in its address, and an address is kept and shown in many places. What a page of another
// site has the browser ask for signs nobody in.
func (s *Server) takeFromAddress(w http.ResponseWriter, r *http.Request, c Caller) bool {
	q := r.URL.Query()
	token := q.Get("token")
	if !s.Access.Guarded() || token == "" || r.Method != http.MethodGet || r.Header.Get("Sec-Fetch-Site") == "cross-site" || !keepable(token) {
		return false
	}
	if secretOf(r) == token {
		s.signedIn(w, r, c, token, signedInFor)
	}
	q.Del("token")
	http.Redirect(w, r, (&url.URL{Path: r.URL.Path, RawQuery: q.Encode()}).String(), http.StatusSeeOther)
	return true
}

// protect says to the browser what it may do with a page. The origin goes along with forms, for without it the server
// could not tell them from those of other sites.
func protect(h http.Header) {
	h.Set("Content-Security-Policy", policy)
	h.Set("Referrer-Policy", "same-origin")
	h.Set("X-Frame-Options", "DENY")
	h.Set("Cross-Origin-Opener-Policy", "same-origin")
	h.Set("Cross-Origin-Resource-Policy", "same-origin")
}

// forbidden is why a caller may not do something.
type forbidden string

func (f forbidden) Error() string { return string(f) }

// Is makes it a guard.ErrForbidden, which hooks know.
func (f forbidden) Is(err error) bool { return err == guard.ErrForbidden }

// troubled answers a page that is none, with what went wrong and what to do about it.
func (s *Server) troubled(w http.ResponseWriter, r *http.Request, err error) {
	var bad badRequest
	var no forbidden
	var clash conflict
	var large *http.MaxBytesError
	t := troubledPage{Status: http.StatusServiceUnavailable, Head: "golive cannot answer just now"}
	switch {
	case errors.As(err, &bad):
		t.Status, t.Head, t.Text = http.StatusBadRequest, "This was not understood", err.Error()
	case errors.As(err, &no), errors.Is(err, errApprove):
		t.Status, t.Head, t.Text = http.StatusForbidden, "You may not do this", err.Error()
	case errors.As(err, &large):
		t.Status, t.Head, t.Text = http.StatusRequestEntityTooLarge, "This is too long", fmt.Sprintf("A request may have %d bytes.", large.Limit)
	case errors.Is(err, ErrIssuerAway):
		s.Log.Warn("who somebody is cannot be known", "error", s.Clean(err.Error()))
		w.Header().Set("Retry-After", "5")
		t.Head, t.Text = "It cannot be known who you are", "The issuer that you sign in with gives no answer just now. Nothing was changed. Try again, or sign in with a token."
	case errors.Is(err, errTooOften):
		w.Header().Set("Retry-After", "60")
		t.Status, t.Head, t.Text = http.StatusTooManyRequests, "Wait a minute", "Your host has sent too many tokens that nobody knows. Nothing was changed."
	case errors.Is(err, guard.ErrNoRollout):
		t.Status, t.Head, t.Text = http.StatusNotFound, "There is no such rollout", "It may have been moved into the archive."
	case errors.Is(err, guard.ErrNoPlan):
		t.Status, t.Head, t.Text = http.StatusNotFound, "There is no such service", err.Error()
	case errors.Is(err, errForged):
		t.Status, t.Head, t.Text = http.StatusForbidden, "This link does not open anything", err.Error()
	case errors.Is(err, errExpired):
		t.Status, t.Head, t.Text = http.StatusGone, "This link is too old", err.Error()
	case errors.As(err, &clash):
		t.Status, t.Head, t.Text = http.StatusConflict, "This cannot be done now", err.Error()
	case errors.Is(err, guard.ErrOver):
		t.Status, t.Head, t.Text = http.StatusConflict, "The rollout is over", "Nothing can be told to it any more. Nothing was changed."
	default:
		s.Log.Warn("a page could not be answered", "method", r.Method, "path", r.URL.Path, "error", s.Clean(err.Error()))
		w.Header().Set("Retry-After", "2")
		t.Text = "Its store gives no answer. Try again."
		if r.Method == http.MethodPost {
			t.Text = "Its store gives no answer, so it is not known whether your order was recorded. Look at the rollout, and try again. " +
				"While the store is away no traffic moves forward, and harm is taken back all the same; in doubt go back with your own tools."
		}
	}
	if id := r.PathValue("id"); id != "" && t.Status != http.StatusNotFound {
		t.Back = "/rollouts/" + url.PathEscape(id)
	}
	s.write(w, r, t.Status, "trouble.html", t.Head, t)
}

// A troubledPage says what went wrong.
type troubledPage struct {
	Status           int
	Head, Text, Back string
}

// A frame is what every page has around its own content.
type frame struct {
	Title, Version, Node string
	Now                  time.Time
	Who                  string // is signed in; empty: nobody
	SignIn               bool   // there is something to sign in to, and nobody has
	Told                 string // what was just recorded
	Main                 any
}

// write writes a page.
func (s *Server) write(w http.ResponseWriter, r *http.Request, status int, name, title string, content any) {
	caller := callerOf(r.Context())
	f := frame{
		Title: title, Version: s.Version, Node: s.Node, Now: clock(), Who: caller.Name,
		SignIn: s.Access.Guarded() && caller.Name == "", Told: recorded[r.URL.Query().Get("told")], Main: content,
	}
	page, err := render(name, f)
	if err != nil {
		s.Log.Error("a page could not be written, which is a mistake in golive", "page", name, "error", err)
		refuse(w, http.StatusInternalServerError, "this is a mistake in golive; its log says more")
		return
	}
	w.Header().Set("Content-Type", "text/html; charset=utf-8")
	w.WriteHeader(status)
	_, _ = io.WriteString(w, page) // whoever asked may be gone
}

// render makes a page. The templates keep texts of others from being taken for more than texts; what turns the reading
// order, or cannot be seen, is taken out of the page as a whole, so that no text can be forgotten.
func render(name string, f frame) (string, error) {
	var page strings.Builder
	err := templates[name].Execute(&page, f)
	return guard.Printable(page.String()), err
}

// recorded says that a form was taken, by the word that the browser is sent back with.
var recorded = map[string]string{
	string(guard.OrderRollback):  "Recorded: roll back.",
	string(guard.OrderHold):      "Recorded: hold.",
	string(guard.OrderResume):    "Recorded: resume.",
	string(guard.OrderProceed):   "Recorded: proceed.",
	string(guard.OrderExtend):    "Recorded: more time.",
	"note":                       "Recorded: your note.",
	"acknowledge":                "Recorded: you look after it.",
	string(guard.StateCause):     "Recorded: the cause.",
	string(guard.StateSeverity):  "Recorded: the severity.",
	string(guard.StateSignOff):   "Recorded: you agree.",
	string(guard.StateStandDown): "Recorded: it is over.",
}

func (s *Server) pageOfAll(w http.ResponseWriter, r *http.Request) error {
	all, err := s.overview(r)
	if err != nil {
		return err
	}
	s.write(w, r, http.StatusOK, "list.html", all.title(), all)
	return nil
}

func (s *Server) pageOfOne(w http.ResponseWriter, r *http.Request) error {
	h, one, err := s.rollout(r)
	if err != nil {
		return err
	}
	now := clock()
	p := portray(h, s.show(h, one, now), callerOf(r.Context()), now)
	s.write(w, r, http.StatusOK, "rollout.html", p.title(), p)
	return nil
}

func (s *Server) formOrder(w http.ResponseWriter, r *http.Request) error {
	if err := form(r); err != nil {
		return err
	}
	o := order{Verb: guard.Verb(r.PostForm.Get("verb")), Why: r.PostForm.Get("why"), Force: r.PostForm.Get("force") != ""}
	if text := r.PostForm.Get("for"); text != "" && o.Verb == guard.OrderExtend {
		d, err := guard.ParseDuration(text)
		if err != nil {
			return badRequest("the time is not one: write 10m or 2h")
		}
		o.For = d
	}
	if err := o.check(callerOf(r.Context())); err != nil {
		return err
	}
	return s.take(w, r, guard.Ordered{Verb: o.Verb, By: somebody(r), Why: guard.Line(o.Why, longestText), For: o.For, Force: o.Force}, string(o.Verb))
}

func (s *Server) formNote(w http.ResponseWriter, r *http.Request) error {
	if err := form(r); err != nil {
		return err
	}
	text := guard.Line(r.PostForm.Get("text"), longestText)
	if text == "" {
		return badRequest("the note says nothing")
	}
	return s.take(w, r, guard.Noted{Text: text, By: somebody(r)}, "note")
}

func (s *Server) formAcknowledge(w http.ResponseWriter, r *http.Request) error {
	if err := form(r); err != nil {
		return err
	}
	return s.take(w, r, guard.Acknowledged{By: somebody(r)}, "acknowledge")
}

func (s *Server) formState(w http.ResponseWriter, r *http.Request) error {
	if err := form(r); err != nil {
		return err
	}
	in := statement{What: guard.Statement(r.PostForm.Get("what")), Text: r.PostForm.Get("text"), Subject: r.PostForm.Get("subject"), Class: r.PostForm.Get("class")}
	if text := r.PostForm.Get("level"); text != "" {
		level, err := strconv.Atoi(text)
		if err != nil {
			return badRequest("the level is not a number")
		}
		in.Level = level
	}
	f := in.fact()
	f.By = somebody(r)
	if _, _, repeated, err := s.Store.Kept(r.Context(), formDelivery(r).ID); err != nil {
		return err
	} else if !repeated {
		h, _, err := s.rollout(r)
		if err != nil {
			return err
		}
		if err := allowed(h, f, callerOf(r.Context()), time.Now()); err != nil {
			return err
		}
	}
	return s.take(w, r, f, string(f.What))
}

// form reads what a form has sent.
func form(r *http.Request) error {
	err := r.ParseForm()
	var large *http.MaxBytesError
	switch {
	case errors.As(err, &large):
		return err
	case err != nil:
		return badRequest("the form cannot be read: " + guard.Line(err.Error(), 200))
	}
	return nil
}

// somebody is who has sent a form, where that is not known.
func somebody(r *http.Request) string { return cmp.Or(who(r.Context()), "somebody") }

// formDelivery is a form as the records keep it. A form that is sent twice is one: each has a number of its own, from the
// moment when it was shown.
func formDelivery(r *http.Request) guard.Delivery {
	said := r.PostForm.Encode()
	if r.PostForm.Get("form") == "" {
		said += newName(time.Now(), "form")
	}
	sum := sha256.Sum256([]byte(strings.Join([]string{who(r.Context()), r.URL.Path, said}, "\x00")))
	return guard.Delivery{ID: "page/" + hex.EncodeToString(sum[:16]), Source: "page", At: clock(), Body: []byte(said)}
}

// take has a rollout told what a form said, durably, and sends the browser back to it.
func (s *Server) take(w http.ResponseWriter, r *http.Request, f guard.Fact, word string) error {
	id := r.PathValue("id")
	if err := s.Desk().Tell(r.Context(), formDelivery(r), id, f); err != nil {
		return err
	}
	s.Log.Info("told", "rollout", id, "by", who(r.Context()), "what", fmt.Sprintf("%T", f))
	http.Redirect(w, r, "/rollouts/"+url.PathEscape(id)+"?told="+word, http.StatusSeeOther)
	return nil
}

// An asset is a file that pages load. Its name changes with what it holds, so that a browser may keep it for ever.
type asset struct {
	body  []byte
	etag  string
	media string
}

// assets are the files by the names under which they are served, and assetNames those names by the files' own.
var assets, assetNames = hashed(pageFiles)

func hashed(from fs.FS) (map[string]asset, map[string]string) {
	files, names := map[string]asset{}, map[string]string{}
	for file, media := range map[string]string{
		"style.css": "text/css; charset=utf-8", "live.js": "text/javascript; charset=utf-8", "icon.svg": "image/svg+xml",
	} {
		body, err := fs.ReadFile(from, path.Join("page", file))
		if err != nil {
			panic(err) // the program was built without it
		}
		sum := sha256.Sum256(body)
		hash := hex.EncodeToString(sum[:8])
		ext := path.Ext(file)
		name := strings.TrimSuffix(file, ext) + "." + hash + ext
		files[name], names[file] = asset{body, strconv.Quote(hash), media}, name
	}
	return files, names
}

func serveAsset(w http.ResponseWriter, r *http.Request) {
	a, found := assets[r.PathValue("name")]
	protect(w.Header())
	if !found {
		http.Error(w, "there is no such file: load the page again", http.StatusNotFound)
		return
	}
	w.Header().Set("Content-Type", a.media)
	w.Header().Set("ETag", a.etag)
	w.Header().Set("Cache-Control", "public, max-age=31536000, immutable")
	http.ServeContent(w, r, "", time.Time{}, bytes.NewReader(a.body))
}

// templates are the pages by the names of their files, each within the frame of all.
var templates = parsed(pageFiles)

func parsed(from fs.FS) map[string]*template.Template {
	all := map[string]*template.Template{}
	frame := template.Must(template.New("frame.html").Funcs(words).Funcs(template.FuncMap{"nonce": rand.Text}).ParseFS(from, "page/frame.html"))
	for _, name := range []string{"list.html", "rollout.html", "trouble.html", "login.html", "ack.html"} {
		all[name] = template.Must(template.Must(frame.Clone()).ParseFS(from, "page/"+name))
	}
	return all
}
