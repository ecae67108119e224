package github

import (
	"encoding/json"
	"fmt"
	"io"
	"maps"
	"net/http"
	"net/http/httptest"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/golive-dev/golive/guard"
	"github.com/golive-dev/golive/plugins"
	"github.com/golive-dev/golive/plugins/plugintest"
)

var kit = plugins.Kit{
	Name:      "github",
	Backends:  map[string]func(guard.With) (guard.Backend, error){"github": NewBackend},
	Notifiers: map[string]func(guard.With) (guard.Notifier, error){"github": NewNotifier},
	Probes: map[string]func(guard.With) (guard.Probe, error){
		"github-alerts": NewAlerts, "github-environment": NewEnvironment, "github-reviews": NewReviews, "github-status": NewStatus,
	},
}

func TestMain(m *testing.M) { plugintest.Main(m, kit) }

const (
	token = "ghp_t0psecret"
	sha   = "6dcb09b5b57875f334f61aebed695e2e4193db5e"
	older = "c3d0be41ecbe669545ee3e94d31ed9a4bc91ee3c"
)

var release = guard.Release{ID: "r7", Service: "shop", Environment: "test", From: "v1", To: "v2"}

type object = map[string]any

// A hub is a small GitHub with one repository, acme/shop, in which the tag v2 is the commit sha.
type hub struct {
	*httptest.Server
	lists   map[string][]object                                 // by path below the repository
	answers map[string]func(http.ResponseWriter, *http.Request) // those that are no list, or go wrong

	mu    sync.Mutex
	asked []string
}

// newHub starts a hub in which all is well. The lists of alerts are by severity too.
func newHub(t *testing.T) *hub {
	t.Helper()
	h := &hub{
		lists: map[string][]object{
			"dependabot/alerts?severity=critical":    {},
			"dependabot/alerts?severity=high":        {},
			"code-scanning/alerts?severity=critical": {},
			"code-scanning/alerts?severity=high":     {},
			"code-scanning/alerts?severity=error":    {},
			"secret-scanning/alerts":                 {},
			"commits/" + sha + "/status":             {{"context": "ci/build", "state": "success"}},
			"commits/" + sha + "/check-runs":         {run("test", "completed", "success"), run("lint", "completed", "neutral"), run("docs", "completed", "skipped")},
			"commits/" + sha + "/pulls":              {pull(12, "closed", "2026-11-23T10:00:00Z")},
			"pulls/12/reviews":                       {review(2, "APPROVED", sha)},
		},
		answers: map[string]func(http.ResponseWriter, *http.Request){
			"commits/v2": text(sha),
			"environments/test": text(`{"name":"test","can_admins_bypass":false,"deployment_branch_policy":{"protected_branches":true},
				"protection_rules":[{"type":"required_reviewers","prevent_self_review":true,"reviewers":[{"type":"User"}]}]}`),
			"collaborators/user2/permission": text(`{"permission":"write"}`),
			"collaborators/user3/permission": text(`{"permission":"admin"}`),
			"collaborators/user4/permission": text(`{"permission":"read"}`),
		},
	}
	h.Server = httptest.NewServer(h)
	t.Cleanup(h.Close)
	return h
}

func text(body string) func(http.ResponseWriter, *http.Request) { return status(http.StatusOK, body) }

func status(code int, body string, headers ...string) func(http.ResponseWriter, *http.Request) {
	return func(w http.ResponseWriter, _ *http.Request) {
		for i := 0; i < len(headers); i += 2 {
			w.Header().Set(headers[i], headers[i+1])
		}
		w.WriteHeader(code)
		io.WriteString(w, body)
	}
}

func run(name, status, conclusion string) object {
	o := object{"name": name, "status": status, "conclusion": nil}
	if conclusion != "" {
		o["conclusion"] = conclusion
	}
	return o
}

func user(id int) object { return object{"id": id, "login": fmt.Sprintf("user%d", id), "type": "User"} }

// pull is a pull request of user 1. Merged is when it was; empty: it was not.
func pull(number int, state, merged string) object {
	o := object{"number": number, "state": state, "merged_at": nil, "user": user(1), "head": object{"sha": sha}}
	if merged != "" {
		o["merged_at"] = merged
	}
	return o
}

var minute atomic.Int64

// review is one of a user, later than all before it.
func review(by int, state, commit string) object {
	at := time.Date(2026, 11, 23, 9, int(minute.Add(1)), 0, 0, time.UTC)
	return object{"user": user(by), "state": state, "commit_id": commit, "submitted_at": at.Format(time.RFC3339)}
}

func dependabot(number int, severity, name, cve string) object {
	return object{"number": number, "state": "open", "dependency": object{"package": object{"name": name}},
		"security_advisory": object{"severity": severity, "ghsa_id": "GHSA-x", "cve_id": cve}}
}

func codeScanning(number int, level, severity, rule, path string) object {
	return object{"number": number, "state": "open", "rule": object{"id": rule, "security_severity_level": level, "severity": severity},
		"most_recent_instance": object{"location": object{"path": path}}}
}

// hang gives no answer at all.
func hang(_ http.ResponseWriter, r *http.Request) { <-r.Context().Done() }

// ServeHTTP gives lists two by two, by number or, as Dependabot does, by cursor alone.
func (h *hub) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	path, ours := strings.CutPrefix(r.URL.Path, "/api/v3/repos/acme/shop/")
	query := r.URL.Query()
	if severity := query.Get("severity"); severity != "" {
		path += "?severity=" + severity
	}
	h.mu.Lock()
	h.asked = append(h.asked, path)
	h.mu.Unlock()
	list, listed := h.lists[path]
	answer := h.answers[path]
	switch {
	case r.Header.Get("Authorization") != "Bearer "+token || r.Method != http.MethodGet:
		status(http.StatusUnauthorized, `{"message":"Bad credentials"}`)(w, r)
		return
	case answer != nil:
		answer(w, r)
		return
	case !ours || !listed:
		status(http.StatusNotFound, `{"message":"Not Found"}`)(w, r)
		return
	case strings.HasSuffix(r.URL.Path, "/alerts") && query.Get("state") != "open", query.Get("per_page") != "100":
		status(http.StatusBadRequest, `{"message":"the wrong question"}`)(w, r)
		return
	}
	key, first := "page", 0
	if cursors := strings.HasPrefix(path, "dependabot/"); cursors {
		if key = "after"; query.Has("page") {
			status(http.StatusBadRequest, `{"message":"page is not supported"}`)(w, r)
			return
		}
	}
	if n, err := strconv.Atoi(query.Get(key)); err == nil {
		first = (n - 1) * 2
	}
	last := min(first+2, len(list))
	if last < len(list) {
		next := url.Values{key: {strconv.Itoa(last/2 + 1)}, "per_page": {"100"}}
		w.Header().Set("Link", fmt.Sprintf(`<%s%s?%s>; rel="next", <%s?x=1>; rel="first"`, h.URL, r.URL.Path, next.Encode(), h.URL))
	}
	var body any = list[first:last]
	switch {
	case strings.HasSuffix(path, "/status"):
		body = object{"state": "pending", "sha": sha, "total_count": len(list), "statuses": body}
	case strings.HasSuffix(path, "/check-runs"):
		body = object{"total_count": len(list), "check_runs": body}
	}
	encoded, err := json.Marshal(body)
	if err != nil {
		panic(err)
	}
	w.Write(encoded)
}

func (h *hub) with(more guard.With) guard.With {
	with := guard.With{"repository": "acme/shop", "token": token, "address": h.URL}
	maps.Copy(with, more)
	return with
}

// probe asks once.
func (h *hub) probe(t *testing.T, name string, more guard.With) (guard.Finding, error) {
	t.Helper()
	return plugintest.Make(t, kit.Probes[name], h.with(more)).Probe(t.Context(), release)
}

// want holds a finding to its verdict and to texts that it has to tell.
func want(t *testing.T, f guard.Finding, err error, verdict guard.Verdict, texts ...string) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
	told, err := json.Marshal(f)
	if err != nil {
		t.Fatal(err)
	}
	if f.Verdict != verdict {
		t.Errorf("the verdict is %v, want %v: %s", f.Verdict, verdict, told)
	}
	if (verdict == guard.Pass) != (f.Reason == "" && f.Remedy == "") {
		t.Errorf("reason and remedy do not fit the verdict: %s", told)
	}
	for _, text := range texts {
		if !strings.Contains(string(told), text) {
			t.Errorf("the finding does not say %q: %s", text, told)
		}
	}
}

func TestContract(t *testing.T) {
	plugintest.Both(t, kit, func(t *testing.T, kit plugins.Kit) {
		h := newHub(t)
		for name, maker := range kit.Probes {
			plugintest.Probe(t, plugintest.Make(t, maker, h.with(nil)), release, guard.Pass)
			if t.Failed() {
				t.Fatal(name)
			}
		}
		h.lists["dependabot/alerts?severity=high"] = []object{dependabot(1, "high", "lodash", "")}
		h.lists["commits/"+sha+"/status"] = []object{{"context": "ci/build", "state": "error"}}
		h.lists["pulls/12/reviews"] = []object{}
		h.answers["environments/test"] = text(`{"name":"test","can_admins_bypass":false,"protection_rules":[]}`)
		for name, maker := range kit.Probes {
			plugintest.Probe(t, plugintest.Make(t, maker, h.with(nil)), release, guard.Fail)
			if t.Failed() {
				t.Fatal(name)
			}
		}
	})
}

// TestUnknownIsNoPass spoils each answer that a probe rests on, in every way, one after the other.
func TestUnknownIsNoPass(t *testing.T) {
	spoiled := map[string]func(http.ResponseWriter, *http.Request){
		"empty":         text(""),
		"null":          text("null"),
		"other kind":    text(`{"message":"hello"}`),
		"a word":        text(`"hello"`),
		"page of HTML":  text("<html>log in first</html>"),
		"list of null":  text("[null]"),
		"list of lists": text("[[]]"),
		"cut":           status(200, `[{"number":`, "Content-Length", "4000"),
		"no next page":  status(200, "[]", "Link", `<http://x.test/?cursor>; rel="next"`),
		"endless pages": status(200, "[]", "Link", `<http://x.test/?page=2>; rel="next"`),
		"not ready":     status(202, "{}"),
		"no content":    status(204, ""),
		"moved":         status(301, `{"message":"Moved Permanently"}`, "Location", "https://127.0.0.1:1/"),
		"bad token":     status(401, `{"message":"Bad credentials `+token+`"}`),
		"one-time":      status(401, "{}", "X-GitHub-OTP", "required; app"),
		"forbidden":     status(403, `{"message":"Resource not accessible by integration"}`),
		"not found":     status(404, `{"message":"Not Found"}`),
		"no commit":     status(422, `{"message":"No commit found for SHA: v2"}`),
		"too many":      status(429, "", "Retry-After", "30"),
		"limit":         status(403, "{}", "X-RateLimit-Remaining", "0", "X-RateLimit-Limit", "5000", "X-RateLimit-Reset", "1"),
		"broken":        status(502, "<html>bad gateway</html>"),
		"hang-up":       func(http.ResponseWriter, *http.Request) { panic(http.ErrAbortHandler) },
		"hang":          hang,
	}
	for name := range kit.Probes {
		well := newHub(t)
		more := guard.With{}
		if name == "github-alerts" {
			more["alerts"] = []any{"dependabot", "code-scanning", "secret-scanning"}
		}
		if f, err := well.probe(t, name, more); err != nil || f.Verdict != guard.Pass {
			t.Fatalf("%s: %v, error %v", name, f, err)
		}
		for _, path := range slices.Compact(well.asked) {
			for way, answer := range spoiled {
				t.Run(name+" "+path+" "+way, func(t *testing.T) {
					t.Parallel()
					h := newHub(t)
					h.answers[path] = answer
					with := maps.Clone(more)
					if way == "hang" {
						with["timeout"] = "300ms"
					}
					f, err := h.probe(t, name, with)
					if err == nil {
						t.Fatalf("no error, but %+v", f)
					}
					if f.Verdict != guard.Unknown || strings.Contains(err.Error(), token) || len(err.Error()) > 600 {
						t.Errorf("verdict %v, error %v", f.Verdict, err)
					}
				})
			}
		}
	}
}

// TestErrors wants each error to say what to do.
func TestErrors(t *testing.T) {
	soon := strconv.FormatInt(time.Now().Add(time.Hour).Unix(), 10)
	const secondary = `{"message":"You have exceeded a secondary rate limit","documentation_url":"https://docs.github.com/rest/overview/rate-limits-for-the-rest-api#about-secondary-rate-limits"}`
	for name, c := range map[string]struct {
		probe, path string
		answer      func(http.ResponseWriter, *http.Request)
		err         string
	}{
		"primary limit":       {"github-status", "commits/v2", status(403, "{}", "X-RateLimit-Limit", "5000", "X-RateLimit-Remaining", "0", "X-RateLimit-Reset", "1900000000"), "limit of 5000 requests an hour is used up until 2030-03-17 17:46:40 UTC"},
		"primary limit, 429":  {"github-status", "commits/v2", status(429, "{}", "X-RateLimit-Remaining", "0", "X-RateLimit-Reset", soon), "none before " + time.Now().Add(time.Hour).UTC().Format("2006-01-02")},
		"secondary limit":     {"github-status", "commits/v2", status(403, secondary, "Retry-After", "30"), "GitHub wants fewer requests, and none before "},
		"secondary, no time":  {"github-status", "commits/v2", status(403, secondary), "does not say until when"},
		"secondary, unlinked": {"github-status", "commits/v2", status(403, `{"message":"slow down"}`, "Retry-After", "30"), "none before "},
		"too many":            {"github-status", "commits/v2", status(429, "", "Retry-After", "30"), "none before "},
		"too many, no time":   {"github-status", "commits/v2", status(429, ""), "does not say until when"},
		"bad token":           {"github-status", "commits/v2", status(401, `{"message":"Bad credentials"}`), `status 401, "Bad credentials" (the token is refused`},
		"one-time password":   {"github-status", "commits/v2", status(401, "{}", "X-GitHub-OTP", "required; app"), "the token is refused"},
		"moved":               {"github-status", "commits/v2", status(301, `{"message":"Moved Permanently"}`), "write its new name under repository"},
		"no such commit":      {"github-status", "commits/v2", status(422, `{"message":"No commit found for SHA: v2"}`), "such as v{{.To}}"},
		"no such repository":  {"github-reviews", "commits/v2", status(404, `{"message":"Not Found"}`), `give the token the permission "Contents: read"`},
		"no statuses":         {"github-status", "commits/" + sha + "/status", status(403, `{"message":"Resource not accessible by integration"}`), `give the token the permission "Commit statuses: read"`},
		"no checks":           {"github-status", "commits/" + sha + "/check-runs", status(403, `{"message":"Resource not accessible by personal access token"}`), `"Checks: read"`},
		"no pulls":            {"github-reviews", "commits/" + sha + "/pulls", status(403, `{"message":"Resource not accessible by integration"}`), `"Pull requests: read"`},
		"no permission":       {"github-reviews", "collaborators/user2/permission", status(403, `{"message":"Must have push access"}`), `permission of "user2"`},
		"dependabot off":      {"github-alerts", "dependabot/alerts?severity=critical", status(403, `{"message":"Dependabot alerts are disabled for this repository."}`), "(enable Dependabot alerts in the settings of the repository)"},
		"dependabot token":    {"github-alerts", "dependabot/alerts?severity=critical", status(403, `{"message":"Resource not accessible by integration"}`), `(give the token the permission "Dependabot alerts: read")`},
		"dependabot hidden":   {"github-alerts", "dependabot/alerts?severity=high", status(404, `{"message":"Not Found"}`), `"Dependabot alerts: read", or enable Dependabot alerts`},
		"code scanning off":   {"github-alerts", "code-scanning/alerts?severity=critical", status(403, `{"message":"Advanced Security must be enabled for this repository to use code scanning."}`), "(enable code scanning"},
		"code scanning never": {"github-alerts", "code-scanning/alerts?severity=high", status(404, `{"message":"no analysis found"}`), "let it run once"},
		"nonsense":            {"github-alerts", "code-scanning/alerts?severity=high", text("<html>"), "the answer is nonsense"},
		"hang":                {"github-status", "commits/v2", hang, "no answer within 200ms"},
		"too long":            {"github-alerts", "dependabot/alerts?severity=high", text(`[{"number":1,"body":"` + strings.Repeat("x", bodyBytes) + `"}]`), "more than 16777216 bytes"},
		"no ID":               {"github-status", "commits/v2", text("v2"), `"v2" is not the ID of a commit`},
		"no name":             {"github-status", "commits/" + sha + "/check-runs", text(`{"total_count":1,"check_runs":[{"status":"completed","conclusion":"success"}]}`), `the check "" has the state "success"`},
		"echo":                {"github-status", "commits/v2", status(404, `{"message":"no `+token+`"}`), `"no ***"`},
	} {
		t.Run(name, func(t *testing.T) {
			h := newHub(t)
			h.answers[c.path] = c.answer
			with := guard.With{}
			switch name {
			case "hang":
				with["timeout"] = "200ms"
			case "too long": // which a busy machine takes long to read
				with["timeout"] = "5m"
			}
			_, err := h.probe(t, c.probe, with)
			if err == nil || !strings.Contains(err.Error(), c.err) || !strings.Contains(err.Error(), "acme/shop") || strings.Contains(err.Error(), token) {
				t.Errorf("error %v, want %q", err, c.err)
			}
		})
	}
}

// TestEndless has a next page for every page.
func TestEndless(t *testing.T) {
	h := newHub(t)
	h.answers["commits/"+sha+"/pulls"] = status(200, "[]", "Link", `<http://x.test/?page=2>; rel="next"`)
	if f, err := h.probe(t, "github-reviews", nil); err == nil || !strings.Contains(err.Error(), "more than 100 pages") {
		t.Errorf("%+v, error %v", f, err)
	}
}

// TestLimitIsKept asks a second time after GitHub has said when to come back, as go-github does not.
func TestLimitIsKept(t *testing.T) {
	h := newHub(t)
	h.answers["commits/v2"] = status(403, "{}", "X-RateLimit-Limit", "60", "X-RateLimit-Remaining", "0", "X-RateLimit-Reset", "1900000000")
	p := plugintest.Make(t, NewStatus, h.with(nil))
	for range 2 {
		if _, err := p.Probe(t.Context(), release); err == nil || !strings.Contains(err.Error(), "limit of 60 requests an hour is used up until 2030-03-17") {
			t.Errorf("error %v, want the limit and its end", err)
		}
	}
	if len(h.asked) != 1 {
		t.Errorf("GitHub was asked %d times, want once", len(h.asked))
	}
}

// TestRedirect gives the token to nobody else.
func TestRedirect(t *testing.T) {
	visited := 0
	other := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) { visited++ }))
	defer other.Close()
	for _, code := range []int{301, 302, 307, 308} {
		h := newHub(t)
		h.answers["commits/v2"] = status(code, "", "Location", other.URL+"/repos/acme/shop/commits/v2")
		if _, err := h.probe(t, "github-status", nil); err == nil || !strings.Contains(err.Error(), "moved") {
			t.Errorf("status %d: error %v", code, err)
		}
	}
	h := newHub(t) // the next page, too, is one of ours
	h.answers["commits/"+sha+"/pulls"] = func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Query().Get("page") == "" {
			w.Header().Set("Link", `<`+other.URL+`/x?page=2>; rel="next"`)
		}
		io.WriteString(w, "[]")
	}
	f, err := h.probe(t, "github-reviews", nil)
	want(t, f, err, guard.Fail, "without a pull request")
	if visited > 0 {
		t.Errorf("another host was asked %d times", visited)
	}
}

func TestMistakes(t *testing.T) {
	for name, c := range map[string]struct {
		probe string
		with  guard.With
		err   string
	}{
		"nothing":         {"github-status", guard.With{}, "repository: missing (write OWNER/NAME)\ntoken: missing"},
		"no owner":        {"github-status", guard.With{"repository": "shop"}, "repository: is not"},
		"a path":          {"github-status", guard.With{"repository": "acme/.."}, "repository: is not"},
		"deeper":          {"github-status", guard.With{"repository": "acme/shop/x"}, "repository: is not"},
		"open network":    {"github-status", guard.With{"address": "http://ghe.acme.test"}, "address: must begin with https://, for the token"},
		"no address":      {"github-status", guard.With{"address": "ghe.acme.test"}, "address: must begin with"},
		"user in address": {"github-status", guard.With{"address": "https://me:" + token + "@ghe.acme.test"}, "address: holds a user"},
		"query":           {"github-status", guard.With{"address": "https://ghe.acme.test/?a=b"}, "address: must end with its path"},
		"two logins":      {"github-status", guard.With{"basic_auth": map[string]any{"username": "me"}}, "token: there is another way"},
		"redirects":       {"github-status", guard.With{"follow_redirects": true}, "follow_redirects: the token would travel on"},
		"no time":         {"github-status", guard.With{"timeout": "0s"}, "timeout: must be longer"},
		"template":        {"github-status", guard.With{"commit": "{{.Tag}}"}, "commit: {{.Tag}} means nothing here"},
		"unknown key":     {"github-status", guard.With{"approvals": 2}, "approvals"},
		"required twice":  {"github-status", guard.With{"required": []any{"a"}, "ignore": []any{"a"}}, "required[0]:"},
		"no approvals":    {"github-reviews", guard.With{"approvals": 0}, "approvals: must be at least 1"},
		"severity":        {"github-alerts", guard.With{"severity": "bad"}, "severity:"},
		"no kind":         {"github-alerts", guard.With{"alerts": []any{}}, "alerts: without"},
		"unknown kind":    {"github-alerts", guard.With{"alerts": []any{"dependabot", "trivy"}}, "alerts[1]:"},
		"kind twice":      {"github-alerts", guard.With{"alerts": []any{"dependabot", "dependabot"}}, "alerts[1]:"},
	} {
		t.Run(name, func(t *testing.T) {
			with := guard.With{"repository": "acme/shop", "token": token}
			if name == "nothing" {
				with = guard.With{}
			}
			maps.Copy(with, c.with)
			_, err := kit.Probes[c.probe](with)
			if err == nil || !strings.Contains(err.Error(), c.err) || strings.Contains(err.Error(), token) {
				t.Errorf("error %v, want %q", err, c.err)
			}
		})
	}
	for _, address := range []string{"https://api.github.com", "https://ghe.acme.test", "https://ghe.acme.test/api/v3/", "https://api.acme.ghe.com"} {
		p := plugintest.Make(t, NewStatus, guard.With{"repository": "acme/shop", "token": token, "address": address})
		if got := p.(*Status).repository.api.BaseURL.String(); got != "https://api.github.com/" && got != "https://ghe.acme.test/api/v3/" && got != "https://api.acme.ghe.com/" {
			t.Errorf("address %s becomes %s", address, got)
		}
	}
}
