package main

import (
	"context"
	"flag"
	"fmt"
	"io"
	"net/http"
	"net/http/httputil"
	"net/url"
	"sync"
	"sync/atomic"
)

// proxy is the front door: it shares the shop's traffic between two versions, as its admin API says.
type proxy struct {
	listen   string
	admin    string
	announce bool
}

func (p *proxy) flags(fs *flag.FlagSet) {
	fs.StringVar(&p.listen, "listen", "127.0.0.1:0", "")
	fs.StringVar(&p.admin, "admin", "127.0.0.1:0", "")
	fs.BoolVar(&p.announce, "announce", false, "")
}

func (p *proxy) check() error { return nil }

func (p *proxy) run(ctx context.Context, stdout, _ io.Writer) error {
	door := newRouter()
	return serveSites(ctx, announcer(p.announce, stdout), site{p.listen, door}, site{p.admin, admin(door)})
}

// A router gives every request to the live version or to the canary.
type router struct {
	transport *http.Transport

	mu       sync.Mutex
	versions map[string]*version // all that were registered; the first one is live
	live     *version            // gets what the canary does not
	canary   *version            // nil while the live version gets everything
	percent  int                 // share of the canary
	owed     int                 // what the canary has yet to get, in hundredths of a request
}

// A version is one release of the service, and what it did here.
type version struct {
	name     string
	target   atomic.Pointer[url.URL]
	proxy    *httputil.ReverseProxy
	requests atomic.Int64
	failed   atomic.Int64 // requests that it did not answer, so that the proxy had to
}

func newRouter() *router {
	transport := http.DefaultTransport.(*http.Transport).Clone()
	transport.MaxIdleConnsPerHost = 256
	return &router{transport: transport, versions: map[string]*version{}}
}

func (d *router) newVersion(name string) *version {
	v := &version{name: name}
	v.proxy = &httputil.ReverseProxy{
		Transport: d.transport,
		Rewrite: func(r *httputil.ProxyRequest) {
			r.SetURL(v.target.Load())
			r.SetXForwarded()
		},
		ErrorHandler: func(w http.ResponseWriter, r *http.Request, err error) {
			if r.Context().Err() == nil { // the client is still there, so it is not the client's doing
				v.failed.Add(1)
			}
			w.Header().Set(versionHeader, name)
			http.Error(w, fmt.Sprintf("%s does not answer: %v", name, err), http.StatusBadGateway)
		},
	}
	return v
}

func (d *router) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	v := d.pick()
	if v == nil {
		http.Error(w, "no version is registered", http.StatusServiceUnavailable)
		return
	}
	v.requests.Add(1)
	v.proxy.ServeHTTP(w, r)
}

// pick chooses a version for the next request by error diffusion: of any n requests in a row the canary gets
// its percentage, give or take one.
func (d *router) pick() *version {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.owed += d.percent
	if d.owed < 100 {
		return d.live
	}
	d.owed -= 100
	return d.canary
}
