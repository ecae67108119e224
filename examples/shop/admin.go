package main

import (
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"net/http"
	"net/http/httputil"
	"net/url"
	"slices"
	"text/tabwriter"
	"time"
)

// A standing is what the admin API says about one version.
type standing struct {
	Percent int  `json:"percent"` // of the traffic that is on it now
	Undo    undo `json:"undo"`
}

// An undo says whether the traffic could go to the other version in play.
type undo struct {
	Open   bool   `json:"open"`
	Detail string `json:"detail"`
}

// A refusal is an error that is the caller's to mend.
type refusal struct {
	status int
	text   string
}

func (r refusal) Error() string { return r.text }

func refuse(status int, format string, args ...any) error {
	return refusal{status, fmt.Sprintf(format, args...)}
}

// admin is the API that moves the traffic. Every PUT and POST may be repeated, and answers the standing after it.
func admin(d *router) http.Handler {
	mux := http.NewServeMux()
	mux.HandleFunc("GET /{$}", d.table)
	mux.HandleFunc("GET /versions/{name}/metrics", d.metrics)
	mux.Handle("GET /versions/{name}", d.change(func(*http.Request, string) error { return nil }))
	mux.Handle("PUT /versions/{name}", d.change(d.register))
	mux.Handle("PUT /versions/{name}/percent", d.change(d.shift))
	mux.Handle("POST /versions/{name}/finish", d.change(d.finish))
	return mux
}

// change makes an endpoint of something to do with a named version.
func (d *router) change(do func(*http.Request, string) error) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		name := r.PathValue("name")
		if err := do(r, name); err != nil {
			answerError(w, err)
			return
		}
		now, err := d.standing(r.Context(), name)
		if err != nil {
			answerError(w, err)
			return
		}
		answer(w, http.StatusOK, now)
	})
}

func answer(w http.ResponseWriter, status int, body any) {
	w.Header().Set("Content-Type", "application/json")
	w.WriteHeader(status)
	_ = json.NewEncoder(w).Encode(body) // if the caller has gone, nobody is left to tell
}

func answerError(w http.ResponseWriter, err error) {
	status := http.StatusBadGateway
	var r refusal
	if errors.As(err, &r) {
		status = r.status
	}
	answer(w, status, map[string]string{"error": err.Error()})
}

// decode reads a small JSON body, strictly.
func decode(r *http.Request, into any) error {
	d := json.NewDecoder(http.MaxBytesReader(nil, r.Body, 1<<16))
	d.DisallowUnknownFields()
	if err := d.Decode(into); err != nil {
		return refuse(http.StatusBadRequest, "read the body: %v", err)
	}
	return nil
}

func (d *router) register(r *http.Request, name string) error {
	var body struct{ URL string }
	if err := decode(r, &body); err != nil {
		return err
	}
	target, err := url.Parse(body.URL)
	if err != nil || target.Scheme != "http" || target.Host == "" {
		return refuse(http.StatusBadRequest, "url: want http://HOST:PORT, got %q", body.URL)
	}
	d.mu.Lock()
	defer d.mu.Unlock()
	v := d.versions[name]
	if v == nil {
		v = d.newVersion(name)
		d.versions[name] = v
	}
	v.target.Store(target)
	d.live = cmp.Or(d.live, v)
	return nil
}

// find needs d.mu.
func (d *router) find(name string) (*version, error) {
	v := d.versions[name]
	if v == nil {
		return nil, refuse(http.StatusNotFound, "unknown version %q", name)
	}
	return v, nil
}

func (d *router) shift(r *http.Request, name string) error {
	var body struct{ Percent *int }
	if err := decode(r, &body); err != nil {
		return err
	}
	if body.Percent == nil || *body.Percent < 0 || *body.Percent > 100 {
		return refuse(http.StatusBadRequest, "percent: want a number from 0 to 100")
	}
	percent := *body.Percent

	d.mu.Lock()
	defer d.mu.Unlock()
	v, err := d.find(name)
	switch {
	case err != nil:
		return err
	case percent == d.share(v):
		return nil
	case v == d.live:
		return refuse(http.StatusConflict, "%s is the live version: shift the other one", name)
	case d.canary != nil && d.canary != v:
		return refuse(http.StatusConflict, "%s is in play with %d %%: give that back first", d.canary.name, d.percent)
	}
	d.canary, d.percent = v, percent
	if percent == 0 {
		d.canary = nil
	}
	return nil
}

func (d *router) finish(_ *http.Request, name string) error {
	d.mu.Lock()
	defer d.mu.Unlock()
	v, err := d.find(name)
	switch {
	case err != nil:
		return err
	case v == d.live && d.canary == nil:
		return nil
	case v != d.canary:
		return refuse(http.StatusConflict, "%s has no traffic to finish with: shift to it first", name)
	}
	d.live, d.canary, d.percent = v, nil, 0
	return nil
}

// share is the percentage of traffic on v. It needs d.mu.
func (d *router) share(v *version) int {
	switch v {
	case d.canary:
		return d.percent
	case d.live:
		return 100 - d.percent
	}
	return 0
}

// standing tries the way back by asking the other version for its health.
func (d *router) standing(ctx context.Context, name string) (standing, error) {
	d.mu.Lock()
	v, err := d.find(name)
	if err != nil {
		d.mu.Unlock()
		return standing{}, err
	}
	other := d.live
	if v == d.live {
		other = d.canary
	}
	percent, held := d.share(v), d.share(other)
	d.mu.Unlock()

	if other == nil {
		return standing{percent, undo{false, "no other version is in play"}}, nil
	}
	if err := d.probe(ctx, other); err != nil {
		return standing{percent, undo{false, fmt.Sprintf("%s is not healthy: %v", other.name, err)}}, nil
	}
	return standing{percent, undo{true, fmt.Sprintf("%s answers and holds %d %%", other.name, held)}}, nil
}

func (d *router) probe(ctx context.Context, v *version) error {
	ctx, cancel := context.WithTimeout(ctx, 2*time.Second)
	defer cancel()
	r, err := http.NewRequestWithContext(ctx, http.MethodGet, v.target.Load().JoinPath("healthz").String(), nil)
	if err != nil {
		return err
	}
	response, err := d.transport.RoundTrip(r)
	if err != nil {
		return err
	}
	defer response.Body.Close()
	if response.StatusCode != http.StatusOK {
		return errors.New(response.Status)
	}
	return nil
}

// metrics passes a scrape through to the version itself.
func (d *router) metrics(w http.ResponseWriter, r *http.Request) {
	d.mu.Lock()
	v, err := d.find(r.PathValue("name"))
	d.mu.Unlock()
	if err != nil {
		answerError(w, err)
		return
	}
	scrape := httputil.ReverseProxy{
		Transport: d.transport,
		Rewrite: func(r *httputil.ProxyRequest) {
			r.Out.URL.Path = "/metrics"
			r.SetURL(v.target.Load())
		},
		ErrorHandler: func(w http.ResponseWriter, _ *http.Request, err error) { answerError(w, err) },
	}
	scrape.ServeHTTP(w, r)
}

// table is the state for people.
func (d *router) table(w http.ResponseWriter, _ *http.Request) {
	d.mu.Lock()
	defer d.mu.Unlock()
	out := tabwriter.NewWriter(w, 0, 0, 2, ' ', 0)
	fmt.Fprintln(out, "version\trole\tshare\trequests\tunanswered\turl")
	for _, name := range slices.Sorted(maps.Keys(d.versions)) {
		v := d.versions[name]
		role := map[*version]string{d.live: "live", d.canary: "canary"}[v]
		fmt.Fprintf(out, "%s\t%s\t%d %%\t%d\t%d\t%s\n",
			name, cmp.Or(role, "-"), d.share(v), v.requests.Load(), v.failed.Load(), v.target.Load())
	}
	_ = out.Flush()
}
