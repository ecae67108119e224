package githubtest

import (
	"bytes"
	"compress/gzip"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"io"
	"maps"
	"net/http"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/go-jose/go-jose/v4"
	"github.com/go-jose/go-jose/v4/jwt"
)

// An endpoint is one that the Hub has, and what a token needs for it; as is asked for with the app's own signature.
type endpoint struct {
	method, path      string // below the repository, or from the root if it begins with a slash
	permission, level string
	serve             func(h *Hub, w http.ResponseWriter, r *http.Request)
}

const (
	app     = "the app itself"
	anybody = "anybody"
)

var endpoints = []endpoint{
	{"GET", "/repos/{owner}/{repo}/installation", app, "", (*Hub).installation},
	{"POST", "/app/installations/{id}/access_tokens", app, "", (*Hub).mint},
	{"GET", "/app", app, "", (*Hub).self},
	{"GET", "/app/hook/deliveries", app, "", func(h *Hub, w http.ResponseWriter, r *http.Request) {
		h.paged(w, r, h.lists["deliveries"], "", "cursor")
	}},
	{"POST", "/app/hook/deliveries/{id}/attempts", app, "", (*Hub).redeliver},

	{"GET", "/user", anybody, "", (*Hub).user},

	{"GET", "", "metadata", "read", func(_ *Hub, w http.ResponseWriter, _ *http.Request) {
		answer(w, http.StatusOK, Object{"id": 1, "name": Name, "full_name": Repository})
	}},
	{"GET", "commits/{ref...}", "contents", "read", (*Hub).commit},
	{"GET", "commits/{ref}/check-runs", "checks", "read", (*Hub).listCheckRuns},
	{"GET", "commits/{ref}/pulls", "pull_requests", "read", func(h *Hub, w http.ResponseWriter, r *http.Request) {
		h.listed(w, r, h.lists["pulls/"+r.PathValue("ref")], "")
	}},
	{"GET", "environments", "actions", "read", func(h *Hub, w http.ResponseWriter, r *http.Request) {
		h.listed(w, r, h.lists["environments"], "environments")
	}},
	{"GET", "environments/{name}", "actions", "read", (*Hub).environment},
	{"GET", "deployments", "deployments", "read", (*Hub).listDeployments},
	{"POST", "deployments", "deployments", "write", (*Hub).deploy},
	{"GET", "deployments/{id}", "deployments", "read", func(h *Hub, w http.ResponseWriter, r *http.Request) { h.show(w, "deployments", "id", r) }},
	{"GET", "deployments/{id}/statuses", "deployments", "read", func(h *Hub, w http.ResponseWriter, r *http.Request) {
		h.listed(w, r, h.lists["statuses/"+r.PathValue("id")], "")
	}},
	{"POST", "deployments/{id}/statuses", "deployments", "write", (*Hub).setStatus},
	{"POST", "actions/runs/{id}/deployment_protection_rule", "deployments", "write", (*Hub).rule},

	{"POST", "actions/workflows/{file}/dispatches", "actions", "write", (*Hub).dispatch},
	{"GET", "actions/workflows/{file}/runs", "actions", "read", (*Hub).listRuns},
	{"GET", "actions/runs/{id}", "actions", "read", func(h *Hub, w http.ResponseWriter, r *http.Request) { h.show(w, "runs", "id", r) }},
	{"POST", "actions/runs/{id}/cancel", "actions", "write", (*Hub).cancel},

	{"POST", "check-runs", "checks", "write", (*Hub).checkRun},
	{"PATCH", "check-runs/{id}", "checks", "write", (*Hub).checkRun},
	{"GET", "check-runs/{id}", "checks", "read", (*Hub).showCheckRun},

	{"GET", "issues", "issues", "read", (*Hub).listIssues},
	{"POST", "issues", "issues", "write", (*Hub).issue},
	{"PATCH", "issues/{id}", "issues", "write", (*Hub).issue},
	{"GET", "issues/{id}/comments", "issues|pull_requests", "read", func(h *Hub, w http.ResponseWriter, r *http.Request) {
		h.listed(w, r, h.lists["comments/"+r.PathValue("id")], "")
	}},
	{"POST", "issues/{id}/comments", "issues|pull_requests", "write", (*Hub).comment},
	{"PATCH", "issues/comments/{id}", "issues|pull_requests", "write", (*Hub).editComment},

	{"POST", "code-scanning/sarifs", "security_events", "write", (*Hub).sarif},
	{"GET", "code-scanning/sarifs/{id}", "security_events", "read", (*Hub).sarifStatus},
}

// routes is all that the Hub answers, as GitHub does below its own address and an enterprise's server below /api/v3.
func (h *Hub) routes() http.Handler {
	mux := http.NewServeMux()
	for _, e := range endpoints {
		path := e.path
		if !strings.HasPrefix(path, "/") {
			path = strings.TrimSuffix("/repos/"+Repository+"/"+path, "/")
		}
		mux.HandleFunc(e.method+" "+path, func(w http.ResponseWriter, r *http.Request) {
			if h.allowed(w, r, e) {
				e.serve(h, w, r)
			}
		})
	}
	mux.HandleFunc("/", func(w http.ResponseWriter, _ *http.Request) { refuse(w, http.StatusNotFound, "Not Found") })
	locked := http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		h.mu.Lock()
		defer h.mu.Unlock()
		asked := r.Method + " " + r.URL.EscapedPath()
		h.asked = append(h.asked, asked)
		if h.left >= 0 {
			w.Header().Set("X-RateLimit-Limit", "5000")
			w.Header().Set("X-RateLimit-Remaining", strconv.Itoa(h.left))
			w.Header().Set("X-RateLimit-Reset", strconv.FormatInt(time.Now().Add(time.Hour).Unix(), 10))
		}
		for _, rule := range h.rules {
			if rule.times != 0 && r.Method == rule.method && strings.HasPrefix(r.URL.EscapedPath(), rule.path) {
				rule.times--
				rule.answer(w)
				return
			}
		}
		mux.ServeHTTP(w, r)
	})
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if strings.HasPrefix(r.URL.Path, "/api/v3/") {
			http.StripPrefix("/api/v3", locked).ServeHTTP(w, r)
			return
		}
		locked.ServeHTTP(w, r)
	})
}

// allowed says whether a request may do what it wants, as GitHub says it.
func (h *Hub) allowed(w http.ResponseWriter, r *http.Request, e endpoint) bool {
	credentials := credentialsOf(r)
	if e.permission == app {
		if err := h.signed(credentials); err != nil {
			refuse(w, http.StatusUnauthorized, "A JSON web token could not be decoded: "+err.Error())
			return false
		}
		return true
	}
	if credentials == Token {
		return true
	}
	may, known := h.tokens[credentials]
	level := ""
	for permission := range strings.SplitSeq(e.permission, "|") { // one of them will do
		level = max(level, may.permissions[permission]) // "write" before "read" before ""
	}
	switch {
	case !known:
		refuse(w, http.StatusUnauthorized, "Bad credentials")
	case e.permission == anybody:
		return true
	case !slices.Contains(may.repositories, Name):
		refuse(w, http.StatusNotFound, "Not Found")
	case level == "" || level == "read" && e.level == "write":
		refuse(w, http.StatusForbidden, "Resource not accessible by integration")
	default:
		return true
	}
	return false
}

func credentialsOf(r *http.Request) string {
	return strings.TrimPrefix(strings.TrimPrefix(r.Header.Get("Authorization"), "Bearer "), "token ")
}

// Who writes: the owner of the token, the app, and a job of a workflow.
const (
	Person = "octo-person"
	Bot    = "golive-test[bot]"
	Job    = "github-actions[bot]"
)

const ofJob = "ghs_of_a_job_" // begins the tokens of jobs

// writer is in whose name a request writes.
func writer(r *http.Request) Object {
	switch credentials := credentialsOf(r); {
	case credentials == Token:
		return Object{"login": Person, "type": "User"}
	case strings.HasPrefix(credentials, ofJob):
		return Object{"login": Job, "type": "Bot"}
	}
	return Object{"login": Bot, "type": "Bot"}
}

// user says who a token belongs to; that of an installation belongs to nobody.
func (h *Hub) user(w http.ResponseWriter, r *http.Request) {
	if credentialsOf(r) != Token {
		refuse(w, http.StatusForbidden, "Resource not accessible by integration")
		return
	}
	answer(w, http.StatusOK, writer(r))
}

// JobToken is what a job of a workflow gets: it may do all that the app may, and is of another app, that of GitHub Actions.
func (h *Hub) JobToken() string {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.last++
	token := fmt.Sprintf("%s%d", ofJob, h.last)
	h.tokens[token] = granted{maps.Clone(h.permissions), []string{Name}}
	return token
}

// signed says whether the app has signed a token of its own, for ten minutes at most.
func (h *Hub) signed(token string) error {
	parsed, err := jwt.ParseSigned(token, []jose.SignatureAlgorithm{jose.RS256})
	if err != nil {
		return err
	}
	var claims jwt.Claims
	if err := parsed.Claims(&h.key.PublicKey, &claims); err != nil {
		return err
	}
	if claims.Expiry == nil || claims.IssuedAt == nil || claims.Expiry.Time().Sub(claims.IssuedAt.Time()) > 10*time.Minute {
		return fmt.Errorf("it is for more than ten minutes, or for ever")
	}
	return claims.ValidateWithLeeway(jwt.Expected{Issuer: fmt.Sprint(AppID), Time: time.Now()}, 0)
}

func (h *Hub) installation(w http.ResponseWriter, r *http.Request) {
	if r.PathValue("owner") != Owner || r.PathValue("repo") != Name {
		refuse(w, http.StatusNotFound, "Not Found")
		return
	}
	answer(w, http.StatusOK, Object{"id": Installation, "app_id": AppID, "permissions": h.permissions})
}

// mint makes a token for what was asked for, and for all that the app may do where nothing was.
func (h *Hub) mint(w http.ResponseWriter, r *http.Request) {
	var want struct {
		Repositories []string          `json:"repositories"`
		Permissions  map[string]string `json:"permissions"`
	}
	if !read(w, r, &want) {
		return
	}
	if r.PathValue("id") != fmt.Sprint(Installation) {
		refuse(w, http.StatusNotFound, "Not Found")
		return
	}
	for permission, level := range want.Permissions {
		if has := h.permissions[permission]; has != level && has != "write" {
			refuse(w, http.StatusUnprocessableEntity, "The permissions requested are not granted to this installation.")
			return
		}
	}
	if len(want.Permissions) == 0 {
		want.Permissions = maps.Clone(h.permissions)
	}
	if len(want.Repositories) == 0 {
		want.Repositories = []string{Name, "all the others"}
	}
	for _, name := range want.Repositories {
		if name != Name && name != "all the others" {
			refuse(w, http.StatusUnprocessableEntity, "There is at least one repository that does not exist or is not accessible to the parent installation.")
			return
		}
	}
	h.last++
	token := fmt.Sprintf("ghs_of_the_installation_%d", h.last)
	h.tokens[token] = granted{want.Permissions, want.Repositories}
	h.lists["tokens"] = append(h.lists["tokens"], Object{"permissions": want.Permissions, "repositories": want.Repositories})
	answer(w, http.StatusCreated, Object{"token": token, "expires_at": time.Now().Add(time.Hour).UTC().Format(time.RFC3339), "permissions": want.Permissions})
}

func (h *Hub) redeliver(w http.ResponseWriter, r *http.Request) {
	d := h.find("deliveries", "id", r.PathValue("id"))
	if d == nil {
		refuse(w, http.StatusNotFound, "Not Found")
		return
	}
	h.lists["redelivered"] = append(h.lists["redelivered"], d)
	answer(w, http.StatusAccepted, Object{})
}

// commit answers with the ID alone, which is what a client asks for that compares.
func (h *Hub) commit(w http.ResponseWriter, r *http.Request) {
	ref := r.PathValue("ref")
	sha, known := h.refs[ref]
	if !known {
		for _, commit := range h.refs {
			if commit == ref {
				sha, known = commit, true
			}
		}
	}
	if !known {
		invalid(w, "No commit found for SHA: %s", ref)
		return
	}
	_, _ = io.WriteString(w, sha) // the client has gone away
}

// environment finds by the escaped name alone: of a name with a slash that is not escaped, GitHub sees the beginning.
func (h *Hub) environment(w http.ResponseWriter, r *http.Request) {
	for _, e := range h.lists["environments"] {
		if e["name"] == r.PathValue("name") {
			answer(w, http.StatusOK, e)
			return
		}
	}
	refuse(w, http.StatusNotFound, "Not Found")
}

func (h *Hub) show(w http.ResponseWriter, kind, field string, r *http.Request) {
	o := h.find(kind, field, r.PathValue("id"))
	if o == nil {
		refuse(w, http.StatusNotFound, "Not Found")
		return
	}
	answer(w, http.StatusOK, o)
}

func (h *Hub) listDeployments(w http.ResponseWriter, r *http.Request) {
	h.listed(w, r, fitting(h.lists["deployments"], r, "sha", "ref", "task", "environment"), "")
}

// fitting are those entries of a list whose fields are as the query wants them.
func fitting(list []Object, r *http.Request, fields ...string) (all []Object) {
	for _, o := range list {
		if !slices.ContainsFunc(fields, func(field string) bool {
			want := r.URL.Query().Get(field)
			return want != "" && o[field] != want
		}) {
			all = append(all, o)
		}
	}
	return all
}

// deploy creates a deployment. Whoever does not say that nothing has to have passed, and nothing is to be merged, meets the
// two refusals that GitHub has for that.
func (h *Hub) deploy(w http.ResponseWriter, r *http.Request) {
	want := struct {
		Ref              string    `json:"ref"`
		Task             string    `json:"task"`
		AutoMerge        *bool     `json:"auto_merge"`
		RequiredContexts *[]string `json:"required_contexts"`
		Payload          any       `json:"payload"`
		Environment      string    `json:"environment"`
		Description      string    `json:"description"`
	}{Task: "deploy", Environment: "production"}
	if !read(w, r, &want) || tooLong(w, "description", want.Description, mostDescription) {
		return
	}
	sha := h.refs[want.Ref]
	for _, commit := range h.refs {
		if commit == want.Ref {
			sha = commit
		}
	}
	switch {
	case want.Ref == "":
		invalid(w, "ref is missing")
		return
	case sha == "":
		invalid(w, "No ref found for: %s", want.Ref)
		return
	case want.RequiredContexts == nil:
		refuse(w, http.StatusConflict, "Conflict: Commit status checks failed for "+want.Ref)
		return
	case want.AutoMerge == nil || *want.AutoMerge:
		answer(w, http.StatusAccepted, Object{"message": "Auto-merged main into " + want.Ref + " on deployment."})
		return
	}
	d := Object{"sha": sha, "ref": want.Ref, "task": want.Task, "environment": want.Environment, "payload": want.Payload, "description": want.Description}
	id := h.add("deployments", d)
	if h.deployer != nil {
		if state := h.deployer(d); state != "" {
			h.status(id, Object{"state": state, "environment": want.Environment})
		}
	}
	answer(w, http.StatusCreated, d)
}

var deploymentStates = []string{"error", "failure", "inactive", "in_progress", "queued", "pending", "success"}

func (h *Hub) setStatus(w http.ResponseWriter, r *http.Request) {
	var s Object
	if !read(w, r, &s) {
		return
	}
	d := h.find("deployments", "id", r.PathValue("id"))
	description, _ := s["description"].(string)
	state, _ := s["state"].(string)
	switch {
	case d == nil:
		refuse(w, http.StatusNotFound, "Not Found")
	case !slices.Contains(deploymentStates, state):
		invalid(w, "state %q is none", state)
	case tooLong(w, "description", description, mostDescription):
	default:
		if s["environment"] == nil {
			s["environment"] = d["environment"]
		}
		h.status(int64Of(d["id"]), s)
		answer(w, http.StatusCreated, s)
	}
}

// rule hears a protection rule: ten reports, and one verdict.
func (h *Hub) rule(w http.ResponseWriter, r *http.Request) {
	var said struct {
		Environment string `json:"environment_name"`
		State       string `json:"state"`
		Comment     string `json:"comment"`
	}
	if !read(w, r, &said) || tooLong(w, "comment", said.Comment, mostComment) {
		return
	}
	waiting := h.reviews[r.PathValue("id")+"/"+said.Environment]
	switch {
	case waiting == nil:
		refuse(w, http.StatusNotFound, "Not Found")
	case waiting.state != "":
		invalid(w, "the deployment is %s already", waiting.state)
	case said.State == "" && len(waiting.reports) >= mostReports:
		invalid(w, "there are %d reports already", mostReports)
	case said.State == "":
		waiting.reports = append(waiting.reports, said.Comment)
		w.WriteHeader(http.StatusNoContent)
	case said.State != "approved" && said.State != "rejected":
		invalid(w, "state %q is none", said.State)
	default:
		waiting.state, waiting.comment = said.State, said.Comment
		w.WriteHeader(http.StatusNoContent)
	}
}

// dispatch begins a run, and does not say which.
func (h *Hub) dispatch(w http.ResponseWriter, r *http.Request) {
	var want struct {
		Ref    string            `json:"ref"`
		Inputs map[string]string `json:"inputs"`
	}
	if !read(w, r, &want) {
		return
	}
	_, known := h.refs[want.Ref]
	file := r.PathValue("file")
	switch {
	case !strings.HasSuffix(file, ".yml") && !strings.HasSuffix(file, ".yaml"):
		refuse(w, http.StatusNotFound, "Not Found")
	case !known:
		refuse(w, http.StatusUnprocessableEntity, "No ref found for: "+want.Ref) // a commit is none
	case len(want.Inputs) > mostInputs:
		invalid(w, "there are more than %d inputs", mostInputs)
	default:
		run := Object{"workflow": file, "event": "workflow_dispatch", "display_title": "golive " + want.Inputs["golive_id"], "inputs": want.Inputs,
			"status": "queued", "conclusion": nil, "html_url": h.URL + "/run", "head_branch": want.Ref}
		if h.silent {
			run["display_title"] = "Deploy"
		}
		if h.conclude != "" {
			run["status"], run["conclusion"] = "completed", h.conclude
		}
		h.add("runs", run)
		w.WriteHeader(http.StatusNoContent)
	}
}

func (h *Hub) listRuns(w http.ResponseWriter, r *http.Request) {
	var runs []Object
	for _, run := range fitting(h.lists["runs"], r, "event", "status") {
		since, bounded := strings.CutPrefix(r.URL.Query().Get("created"), ">=")
		if run["workflow"] == r.PathValue("file") && (!bounded || run["created_at"].(string) >= since) {
			runs = append(runs, run)
		}
	}
	h.listed(w, r, runs, "workflow_runs")
}

func (h *Hub) cancel(w http.ResponseWriter, r *http.Request) {
	run := h.find("runs", "id", r.PathValue("id"))
	switch {
	case run == nil:
		refuse(w, http.StatusNotFound, "Not Found")
	case run["status"] == "completed":
		refuse(w, http.StatusConflict, "Cannot cancel a workflow run that is completed.")
	default:
		run["status"], run["conclusion"] = "completed", "cancelled"
		answer(w, http.StatusAccepted, Object{})
	}
}

// checkRun makes one, or changes one. Only apps may.
func (h *Hub) checkRun(w http.ResponseWriter, r *http.Request) {
	var want struct {
		Name       string `json:"name"`
		HeadSHA    string `json:"head_sha"`
		Status     string `json:"status"`
		Conclusion string `json:"conclusion"`
		Output     *struct {
			Title       string   `json:"title"`
			Summary     string   `json:"summary"`
			Text        string   `json:"text"`
			Annotations []Object `json:"annotations"`
		} `json:"output"`
		Actions []struct {
			Label       string `json:"label"`
			Description string `json:"description"`
			Identifier  string `json:"identifier"`
		} `json:"actions"`
	}
	body, err := io.ReadAll(r.Body)
	var all Object
	if err != nil || json.Unmarshal(body, &want) != nil || json.Unmarshal(body, &all) != nil {
		refuse(w, http.StatusBadRequest, "Problems parsing JSON")
		return
	}
	if credentialsOf(r) == Token {
		refuse(w, http.StatusForbidden, "You must authenticate via a GitHub App.")
		return
	}
	if o := want.Output; o != nil {
		if tooLong(w, "output.summary", o.Summary, mostText) || tooLong(w, "output.text", o.Text, mostText) {
			return
		}
		if len(o.Annotations) > mostAnnotations {
			invalid(w, "output.annotations exceeds a maximum quantity of %d", mostAnnotations)
			return
		}
		if o.Title == "" || o.Summary == "" {
			invalid(w, "output.title and output.summary are required")
			return
		}
		for _, a := range o.Annotations {
			for _, field := range []string{"path", "start_line", "end_line", "annotation_level", "message"} {
				if a[field] == nil || a[field] == "" {
					invalid(w, "output.annotations: %s is required", field)
					return
				}
			}
		}
	}
	if actions, given := all["actions"]; given && actions == nil {
		invalid(w, "actions: null is not an array")
		return
	}
	if len(want.Actions) > mostActions {
		invalid(w, "actions exceeds a maximum quantity of %d", mostActions)
		return
	}
	for _, a := range want.Actions {
		if tooLong(w, "label", a.Label, mostLabel) || tooLong(w, "description", a.Description, mostAction) || tooLong(w, "identifier", a.Identifier, mostLabel) {
			return
		}
	}
	switch {
	case !slices.Contains(checkStates, want.Status):
		invalid(w, "status %q is none", want.Status)
		return
	case want.Conclusion != "" && !slices.Contains(checkConclusions, want.Conclusion), want.Status == "completed" && want.Conclusion == "":
		invalid(w, "conclusion %q is none", want.Conclusion)
		return
	}
	if want.Conclusion != "" { // which says that it is over
		all["status"] = "completed"
	}
	if r.Method == http.MethodPost {
		switch {
		case want.Name == "" || want.HeadSHA == "":
			invalid(w, "name and head_sha are required")
			return
		case !h.known(want.HeadSHA):
			invalid(w, "No commit found for SHA: %s", want.HeadSHA)
			return
		}
		if all["status"] == nil {
			all["status"] = "queued"
		}
		all["app"] = Object{"id": AppID}
		if strings.HasPrefix(credentialsOf(r), ofJob) {
			all["app"] = Object{"id": 15368}
		}
		h.add("check-runs", all)
		answer(w, http.StatusCreated, shownRun(all))
		return
	}
	run := h.find("check-runs", "id", r.PathValue("id"))
	if run == nil {
		refuse(w, http.StatusNotFound, "Not Found")
		return
	}
	merge(run, all)
	answer(w, http.StatusOK, shownRun(run))
}

var (
	checkStates      = []string{"", "queued", "in_progress", "completed"}
	checkConclusions = []string{"action_required", "cancelled", "failure", "neutral", "success", "skipped", "timed_out"}
)

// known says whether the repository has a commit.
func (h *Hub) known(sha string) bool {
	return slices.Contains(slices.Collect(maps.Values(h.refs)), sha)
}

// shownRun is a check run as GitHub answers with it: annotations have an address of their own, and are counted. Buttons are
// not told.
func shownRun(run Object) Object {
	shown := maps.Clone(run)
	delete(shown, "actions")
	output, _ := run["output"].(Object)
	notes, _ := output["annotations"].([]any)
	output = maps.Clone(output)
	delete(output, "annotations")
	if output == nil {
		output = Object{"title": nil, "summary": nil, "text": nil}
	}
	output["annotations_count"] = len(notes)
	shown["output"] = output
	return shown
}

func (h *Hub) showCheckRun(w http.ResponseWriter, r *http.Request) {
	run := h.find("check-runs", "id", r.PathValue("id"))
	if run == nil {
		refuse(w, http.StatusNotFound, "Not Found")
		return
	}
	answer(w, http.StatusOK, shownRun(run))
}

// listCheckRuns lists those on a commit, of one name or one app if that is asked for.
func (h *Hub) listCheckRuns(w http.ResponseWriter, r *http.Request) {
	runs := []Object{}
	query := r.URL.Query()
	for _, run := range h.lists["check-runs"] {
		of, _ := run["app"].(Object)
		name, by := query.Get("check_name"), query.Get("app_id")
		if run["head_sha"] == r.PathValue("ref") && (name == "" || run["name"] == name) && (by == "" || fmt.Sprint(int64Of(of["id"])) == by) {
			runs = append(runs, shownRun(run))
		}
	}
	h.listed(w, r, runs, "check_runs")
}

// merge changes a check run. Its annotations are added to those that are there, and what is not said stays.
func merge(run, change Object) {
	old, _ := run["output"].(Object)
	was, _ := old["annotations"].([]any)
	maps.Copy(run, change)
	if output, _ := change["output"].(Object); output != nil {
		more, _ := output["annotations"].([]any)
		whole := maps.Clone(old)
		if whole == nil {
			whole = Object{}
		}
		maps.Copy(whole, output)
		whole["annotations"] = slices.Concat(was, more)
		run["output"] = whole
	}
}

func (h *Hub) listIssues(w http.ResponseWriter, r *http.Request) {
	var issues []Object
	labels, state := r.URL.Query().Get("labels"), r.URL.Query().Get("state")
	for _, issue := range h.lists["issues"] {
		has, _ := issue["labels"].([]any)
		fits := state == "all" || issue["state"] == state || state == "" && issue["state"] == "open"
		for _, label := range strings.Split(labels, ",") {
			fits = fits && (label == "" || slices.ContainsFunc(has, func(l any) bool { return l.(Object)["name"] == label }))
		}
		if fits {
			issues = append(issues, issue)
		}
	}
	h.listed(w, r, issues, "")
}

// issue opens one, or changes one.
func (h *Hub) issue(w http.ResponseWriter, r *http.Request) {
	var want Object
	if !read(w, r, &want) {
		return
	}
	body, _ := want["body"].(string)
	if tooLong(w, "body", body, mostBody) {
		return
	}
	if names, given := want["labels"].([]any); given {
		labels := []any{}
		for _, name := range names {
			if label, _ := name.(string); tooLong(w, "label", label, mostLabels) {
				return
			}
			labels = append(labels, Object{"name": name})
		}
		want["labels"] = labels
	}
	if r.Method == http.MethodPost {
		if title, _ := want["title"].(string); title == "" {
			invalid(w, "title is missing")
			return
		}
		want["number"], want["state"], want["user"] = h.numbers(), "open", writer(r)
		h.add("issues", want)
		answer(w, http.StatusCreated, want)
		return
	}
	issue := h.find("issues", "number", r.PathValue("id"))
	if issue == nil {
		refuse(w, http.StatusNotFound, "Not Found")
		return
	}
	maps.Copy(issue, want)
	answer(w, http.StatusOK, issue)
}

func (h *Hub) comment(w http.ResponseWriter, r *http.Request) {
	var want Object
	if !read(w, r, &want) {
		return
	}
	body, _ := want["body"].(string)
	if body == "" {
		invalid(w, "body cannot be blank")
		return
	}
	if tooLong(w, "body", body, mostBody) {
		return
	}
	want["user"] = writer(r)
	h.add("comments/"+r.PathValue("id"), want)
	answer(w, http.StatusCreated, want)
}

func (h *Hub) editComment(w http.ResponseWriter, r *http.Request) {
	var want Object
	if !read(w, r, &want) {
		return
	}
	body, _ := want["body"].(string)
	if tooLong(w, "body", body, mostBody) {
		return
	}
	for kind := range h.lists {
		if !strings.HasPrefix(kind, "comments/") {
			continue
		}
		if c := h.find(kind, "id", r.PathValue("id")); c != nil {
			c["body"] = body
			answer(w, http.StatusOK, c)
			return
		}
	}
	refuse(w, http.StatusNotFound, "Not Found")
}

// sarif takes a report that is compressed and then written in letters, and reads it later.
func (h *Hub) sarif(w http.ResponseWriter, r *http.Request) {
	var want struct {
		Commit string `json:"commit_sha"`
		Ref    string `json:"ref"`
		Sarif  string `json:"sarif"`
	}
	if !read(w, r, &want) {
		return
	}
	text, err := unpacked(want.Sarif)
	switch {
	case want.Commit == "" || want.Ref == "":
		invalid(w, "commit_sha and ref are required")
	case err != nil:
		refuse(w, http.StatusBadRequest, "the sarif is not gzip in base64: "+err.Error())
	default:
		id := h.add("sarifs", Object{"commit_sha": want.Commit, "ref": want.Ref, "sarif": text, "processing_status": "pending"})
		answer(w, http.StatusAccepted, Object{"id": fmt.Sprint(id)})
	}
}

// sarifStatus says how far GitHub is with a report. It is read when somebody looks for the second time.
func (h *Hub) sarifStatus(w http.ResponseWriter, r *http.Request) {
	s := h.find("sarifs", "id", r.PathValue("id"))
	if s == nil {
		refuse(w, http.StatusNotFound, "Not Found")
		return
	}
	now := Object{"processing_status": s["processing_status"]}
	if s["processing_status"] == "failed" {
		now["errors"] = []string{"the file is no SARIF"}
	}
	answer(w, http.StatusOK, now)
	if s["processing_status"] != "pending" {
		return
	}
	s["processing_status"] = "complete"
	if text, _ := s["sarif"].(string); !json.Valid([]byte(text)) {
		s["processing_status"] = "failed"
	}
}

func unpacked(text string) (string, error) {
	packed, err := base64.StdEncoding.DecodeString(text)
	if err != nil {
		return "", err
	}
	reader, err := gzip.NewReader(bytes.NewReader(packed))
	if err != nil {
		return "", err
	}
	plain, err := io.ReadAll(reader)
	return string(plain), err
}
