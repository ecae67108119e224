// Package githubtest is a small GitHub for tests, in memory and over HTTP. It keeps the limits of the real one, by its
// documentation: what is too long, too much or not permitted is refused with the status that GitHub refuses it with, so
// that a client which only works on a patient server fails here. Its answers are written without go-github, so that a
// mistake of that library is not made twice.
package githubtest

import (
	"cmp"
	"crypto/rand"
	"crypto/rsa"
	"crypto/x509"
	"encoding/json"
	"encoding/pem"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"
	"unicode/utf8"
)

// What the one repository is called, and who may ask about it.
const (
	Owner        = "acme"
	Name         = "shop"
	Repository   = Owner + "/" + Name
	Token        = "ghp_a_t0ken_of_a_test"
	AppID        = 7
	Installation = 99
)

// Object is a JSON object.
type Object = map[string]any

// The bounds that GitHub has.
const (
	mostDescription = 140   // characters of a deployment's or a commit's status
	mostAnnotations = 50    // of a check run, in one request
	mostText        = 65535 // characters of the summary and of the text of a check run
	mostActions     = 3     // buttons of a check run
	mostLabel       = 20    // characters on a button, and of its identifier
	mostAction      = 40    // characters of what a button does
	mostReports     = 10    // of a protection rule on one deployment
	mostComment     = 1024  // characters of one
	mostInputs      = 10    // of a dispatched workflow
	mostBody        = 65536 // characters of an issue or a comment
	mostLabels      = 50    // characters of a label
	mostPage        = 100   // entries of a page
	usualPage       = 30    // entries of a page, unless asked for
)

// A Hub is the GitHub of one test.
type Hub struct {
	*httptest.Server

	mu          sync.Mutex
	key         *rsa.PrivateKey
	permissions map[string]string   // that the app was granted
	tokens      map[string]granted  // of the installation
	rules       []*rule             // what goes wrong
	refs        map[string]string   // branches and tags, to commits
	asked       []string            // what was asked, in order
	lists       map[string][]Object // deployments, runs, issues ... in order of their numbers
	reviews     map[string]*review  // by run and environment
	deployer    func(Object) string // says how a deployment ends; nil: nobody deploys
	conclude    string              // how a workflow run ends; empty: it does not
	silent      bool                // runs appear under no title
	last        int64
	numbered    int // issues and pull requests
	page        int
	left        int // requests of the quota of an hour, told in every answer; negative: nothing is told
}

// granted is what a token of the installation may do.
type granted struct {
	permissions  map[string]string
	repositories []string
}

// A review is what a protection rule has said of a deployment that waits.
type review struct {
	reports []string
	state   string
	comment string
}

// appKey is one key for all hubs, for to make one takes long.
var appKey = sync.OnceValues(func() (*rsa.PrivateKey, error) { return rsa.GenerateKey(rand.Reader, 2048) })

// New starts a GitHub with the repository acme/shop, whose tags v1 and v2 and whose branch main name a commit each.
func New(t testing.TB) *Hub {
	t.Helper()
	key, err := appKey()
	if err != nil {
		t.Fatal(err)
	}
	h := &Hub{
		key: key, tokens: map[string]granted{}, lists: map[string][]Object{}, reviews: map[string]*review{}, page: mostPage, left: -1,
		permissions: map[string]string{
			"actions": "write", "checks": "write", "contents": "read", "deployments": "write", "issues": "write", "metadata": "read",
			"security_events": "write", "pull_requests": "write",
		},
		refs: map[string]string{"v1": Commit(1), "v2": Commit(2), "main": Commit(2)},
		last: 7000,
	}
	h.Server = httptest.NewServer(h.routes())
	t.Cleanup(h.Close)
	return h
}

// Commit is the ID of the commit with a number.
func Commit(number int) string { return fmt.Sprintf("%040x", 0xc0ffee00+number) }

// Key is the private key of the app, as GitHub gives it out.
func (h *Hub) Key() string {
	return string(pem.EncodeToMemory(&pem.Block{Type: "RSA PRIVATE KEY", Bytes: x509.MarshalPKCS1PrivateKey(h.key)}))
}

// Callback is the address at which a run waits for the word of a protection rule.
func (h *Hub) Callback(run int64) string {
	return fmt.Sprintf("%s/api/v3/repos/%s/actions/runs/%d/deployment_protection_rule", h.URL, Repository, run)
}

// Grant changes a permission of the app, and makes all its tokens void; "" takes the permission away.
func (h *Hub) Grant(permission, level string) {
	h.mu.Lock()
	defer h.mu.Unlock()
	delete(h.permissions, permission)
	if level != "" {
		h.permissions[permission] = level
	}
	clear(h.tokens)
}

// Pages makes every page of a list so short at most.
func (h *Hub) Pages(most int) {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.page = most
}

// Left makes every answer say that so many of 5,000 requests are left for an hour.
func (h *Hub) Left(requests int) {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.left = requests
}

// Tag makes a tag of a commit.
func (h *Hub) Tag(name, sha string) {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.refs[name] = sha
}

// Asked lists what was asked so far: "POST /repos/acme/shop/deployments".
func (h *Hub) Asked() []string {
	h.mu.Lock()
	defer h.mu.Unlock()
	return slices.Clone(h.asked)
}

// Count is how often something was asked: the beginning of it, as Asked has it.
func (h *Hub) Count(beginning string) (n int) {
	for _, asked := range h.Asked() {
		if strings.HasPrefix(asked, beginning) {
			n++
		}
	}
	return n
}

// List returns what GitHub has of a kind: deployments, statuses/ID, runs, check-runs (with all their annotations), issues,
// comments/NUMBER, pulls/COMMIT, sarifs, deliveries or environments.
func (h *Hub) List(kind string) []Object {
	h.mu.Lock()
	defer h.mu.Unlock()
	return copied(h.lists[kind])
}

func copied(list []Object) (all []Object) {
	for _, o := range list {
		text, err := json.Marshal(o)
		if err != nil {
			panic(err) // it came from JSON
		}
		var again Object
		if err := json.Unmarshal(text, &again); err != nil {
			panic(err)
		}
		all = append(all, again)
	}
	return all
}

// Add puts an object into a list, with a number unless it has one, and returns that.
func (h *Hub) Add(kind string, o Object) int64 {
	h.mu.Lock()
	defer h.mu.Unlock()
	return h.add(kind, o)
}

func (h *Hub) add(kind string, o Object) int64 {
	if o["id"] == nil {
		h.last++
		o["id"] = h.last
	}
	if o["created_at"] == nil {
		o["created_at"] = time.Now().UTC().Format(time.RFC3339)
	}
	h.lists[kind] = append(h.lists[kind], o)
	return int64Of(o["id"])
}

// int64Of reads a number of ours, or one that came from JSON.
func int64Of(v any) int64 {
	switch v := v.(type) {
	case int64:
		return v
	case int:
		return int64(v)
	case float64:
		return int64(v)
	}
	return 0
}

// Pull opens a pull request with a commit, and returns its number, which issues share.
func (h *Hub) Pull(sha, state string) int {
	h.mu.Lock()
	defer h.mu.Unlock()
	number := h.numbers()
	merged := any(nil)
	if state == "merged" {
		state, merged = "closed", time.Now().UTC().Format(time.RFC3339)
	}
	h.add("pulls/"+sha, Object{"number": number, "state": state, "merged_at": merged, "head": Object{"sha": sha}})
	return number
}

// numbers is the next that an issue or a pull request gets.
func (h *Hub) numbers() int {
	h.numbered++
	return h.numbered
}

// Deployed records that a commit was deployed to an environment, and returns the deployment.
func (h *Hub) Deployed(environment, sha, state string) int64 {
	h.mu.Lock()
	defer h.mu.Unlock()
	id := h.add("deployments", Object{"sha": sha, "ref": sha, "environment": environment, "task": "deploy", "payload": Object{}})
	h.status(id, Object{"state": state, "environment": environment})
	return id
}

// status adds the status of a deployment. A success takes the place of the success before it.
func (h *Hub) status(deployment int64, s Object) {
	if s["state"] == "success" && s["auto_inactive"] != false {
		for _, other := range h.lists["deployments"] {
			id := int64Of(other["id"])
			all := h.lists[statuses(id)]
			if id != deployment && other["environment"] == s["environment"] && len(all) > 0 && all[len(all)-1]["state"] == "success" {
				h.add(statuses(id), Object{"state": "inactive", "environment": s["environment"]})
			}
		}
	}
	h.add(statuses(deployment), s)
}

func statuses(deployment int64) string { return fmt.Sprintf("statuses/%d", deployment) }

// Status says how a deployment goes, as whoever deploys does.
func (h *Hub) Status(deployment int64, state string) {
	h.mu.Lock()
	defer h.mu.Unlock()
	for _, d := range h.lists["deployments"] {
		if int64Of(d["id"]) == deployment {
			h.status(deployment, Object{"state": state, "environment": d["environment"]})
		}
	}
}

// Deploys makes somebody deploy whatever is to be deployed. The function says how that ends: success, failure, error, or ""
// while it does not; it may not ask the Hub, which waits for it.
func (h *Hub) Deploys(by func(deployment Object) (state string)) {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.deployer = by
}

// Conclude makes all workflow runs that are dispatched end so: success, failure ...; "": they go on until they are cancelled.
func (h *Hub) Conclude(conclusion string) {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.conclude = conclusion
}

// Finish ends all workflow runs that are under way.
func (h *Hub) Finish(conclusion string) {
	h.mu.Lock()
	defer h.mu.Unlock()
	for _, run := range h.lists["runs"] {
		if run["status"] != "completed" {
			run["status"], run["conclusion"] = "completed", conclusion
		}
	}
}

// Untitled makes runs appear under the name of their workflow, as they do where it has no run-name.
func (h *Hub) Untitled() {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.silent = true
}

// Wait makes a run wait for the word of the protection rule before it deploys to an environment.
func (h *Hub) Wait(run int64, environment string) {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.reviews[waits(run, environment)] = &review{}
}

func waits(run int64, environment string) string { return fmt.Sprintf("%d/%s", run, environment) }

// Said is what the protection rule has said: its reports, its verdict (approved, rejected, or none yet) and the comment.
func (h *Hub) Said(run int64, environment string) (reports []string, state, comment string) {
	h.mu.Lock()
	defer h.mu.Unlock()
	if r := h.reviews[waits(run, environment)]; r != nil {
		return slices.Clone(r.reports), r.state, r.comment
	}
	return nil, "", ""
}

// A Limit is one of the ways in which GitHub wants fewer requests.
type Limit int

// The three kinds. Primary is the quota of an hour, and Secondary is for whoever asks too fast; both are told with 403.
// TooMany is either of them told with 429, which GitHub does as well.
const (
	Primary Limit = iota
	Secondary
	TooMany
)

// A rule answers requests before all else does.
type rule struct {
	method, path string
	times        int // that are left; negative: for ever
	answer       func(http.ResponseWriter)
}

// Limit makes GitHub want fewer of the requests with a method and a beginning of their path (both as Asked has them), so
// many times; negative: for ever. After says when to come back.
func (h *Hub) Limit(method, path string, kind Limit, times int, after time.Duration) {
	seconds := strconv.Itoa(int(after.Seconds()))
	h.Break(method, path, times, func(w http.ResponseWriter) {
		switch kind {
		case Primary:
			w.Header().Set("X-RateLimit-Limit", "5000")
			w.Header().Set("X-RateLimit-Remaining", "0")
			w.Header().Set("X-RateLimit-Reset", strconv.FormatInt(time.Now().Add(after).Unix(), 10))
			refuse(w, http.StatusForbidden, "API rate limit exceeded for installation ID 99.")
		case Secondary:
			w.Header().Set("Retry-After", seconds)
			answer(w, http.StatusForbidden, Object{
				"message":           "You have exceeded a secondary rate limit. Please wait a few minutes before you try again.",
				"documentation_url": "https://docs.github.com/rest/using-the-rest-api/rate-limits-for-the-rest-api#about-secondary-rate-limits",
			})
		case TooMany:
			w.Header().Set("Retry-After", seconds)
			refuse(w, http.StatusTooManyRequests, "Too many requests")
		}
	})
}

// Break answers requests in another way, so many times; negative: for ever.
func (h *Hub) Break(method, path string, times int, answer func(http.ResponseWriter)) {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.rules = append(h.rules, &rule{method, path, times, answer})
}

// Mend ends all that Limit and Break have begun.
func (h *Hub) Mend() {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.rules = nil
}

func answer(w http.ResponseWriter, status int, v any) {
	w.Header().Set("Content-Type", "application/json; charset=utf-8")
	w.WriteHeader(status)
	_ = json.NewEncoder(w).Encode(v) // the client has gone away
}

func refuse(w http.ResponseWriter, status int, message string) {
	answer(w, status, Object{"message": message, "documentation_url": "https://docs.github.com/rest"})
}

// invalid refuses what GitHub understands and does not take.
func invalid(w http.ResponseWriter, format string, values ...any) {
	answer(w, http.StatusUnprocessableEntity, Object{"message": "Validation Failed", "errors": []string{fmt.Sprintf(format, values...)}})
}

// tooLong refuses a text of too many characters.
func tooLong(w http.ResponseWriter, field, text string, most int) bool {
	if n := utf8.RuneCountInString(text); n > most {
		invalid(w, "%s is too long (maximum is %d characters, and it has %d)", field, most, n)
		return true
	}
	return false
}

// read reads the body of a request.
func read(w http.ResponseWriter, r *http.Request, into any) bool {
	body, err := io.ReadAll(r.Body)
	if err == nil && len(body) > 0 {
		err = json.Unmarshal(body, into)
	}
	if err != nil {
		refuse(w, http.StatusBadRequest, "Problems parsing JSON")
		return false
	}
	return true
}

// listed answers with a page of a list, the newest first, and says where the next page is.
func (h *Hub) listed(w http.ResponseWriter, r *http.Request, list []Object, wrap string) {
	h.paged(w, r, list, wrap, "page")
}

// paged is listed with a key of the query that says which page: page, or cursor, by which GitHub gives some lists.
func (h *Hub) paged(w http.ResponseWriter, r *http.Request, list []Object, wrap, key string) {
	query := r.URL.Query()
	size, _ := strconv.Atoi(query.Get("per_page"))
	size = min(cmp.Or(max(size, 0), usualPage), mostPage, h.page)
	page, _ := strconv.Atoi(query.Get(key))
	page = max(page, 1)
	list = slices.Clone(list)
	slices.Reverse(list)
	from, to := min((page-1)*size, len(list)), min(page*size, len(list))
	if to < len(list) {
		link := func(page int, rel string) string {
			query.Set(key, strconv.Itoa(page))
			next := url.URL{Scheme: "http", Host: r.Host, Path: r.URL.Path, RawPath: r.URL.RawPath, RawQuery: query.Encode()}
			return fmt.Sprintf("<%s>; rel=%q", next.String(), rel)
		}
		w.Header().Set("Link", link(page+1, "next")+", "+link((len(list)+size-1)/size, "last"))
	}
	shown := append([]Object{}, list[from:to]...)
	if wrap == "" {
		answer(w, http.StatusOK, shown)
		return
	}
	answer(w, http.StatusOK, Object{"total_count": len(list), wrap: shown})
}

// find returns the entry of a list with a number.
func (h *Hub) find(kind, field, number string) Object {
	for _, o := range h.lists[kind] {
		if fmt.Sprint(int64Of(o[field])) == number {
			return o
		}
	}
	return nil
}
