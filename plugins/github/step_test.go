package github

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/golive-dev/golive/plugins/github/githubtest"
)

func stepOf(h *githubtest.Hub) Step {
	return Step{
		Repository: githubtest.Repository, Token: h.JobToken(), Address: h.URL, Ref: "refs/heads/main", Commit: githubtest.Commit(2),
		Wait: time.Minute, Every: time.Millisecond,
	}
}

// TestUpload hands a report over, and waits until it was read.
func TestUpload(t *testing.T) {
	h := githubtest.New(t)
	h.Break("GET", "/repos/acme/shop/code-scanning/sarifs/", 1, func(w http.ResponseWriter) { w.WriteHeader(http.StatusNotFound) }) // not found yet
	if err := stepOf(h).Upload(t.Context(), []byte(`{"version":"2.1.0"}`)); err != nil {
		t.Fatal(err)
	}
	got := h.List("sarifs")
	if len(got) != 1 || got[0]["sarif"] != `{"version":"2.1.0"}` || got[0]["ref"] != "refs/heads/main" || got[0]["commit_sha"] != githubtest.Commit(2) || got[0]["processing_status"] != "complete" {
		t.Errorf("GitHub has %v", got)
	}
	if n := h.Count("GET /repos/acme/shop/code-scanning/sarifs/"); n != 3 {
		t.Errorf("it was asked %d times: not found, pending, complete", n)
	}
}

func TestUploadRefused(t *testing.T) {
	answers := func(body string) func(h *githubtest.Hub, s *Step) {
		return func(h *githubtest.Hub, _ *Step) {
			h.Break("GET", "/repos/acme/shop/code-scanning/sarifs/", -1, func(w http.ResponseWriter) { _, _ = w.Write([]byte(body)) })
		}
	}
	for name, c := range map[string]struct {
		change func(h *githubtest.Hub, s *Step)
		report string
		want   string
	}{
		"no JSON":        {func(*githubtest.Hub, *Step) {}, "{", "no SARIF"},
		"no ref":         {func(_ *githubtest.Hub, s *Step) { s.Ref = "main" }, "{}", "refs/heads/main"},
		"no commit":      {func(_ *githubtest.Hub, s *Step) { s.Commit = "v2" }, "{}", "commit:"},
		"no token":       {func(_ *githubtest.Hub, s *Step) { s.Token = "" }, "{}", "token: missing"},
		"no permission":  {func(h *githubtest.Hub, s *Step) { h.Grant("security_events", "read"); s.Token = h.JobToken() }, "{}", "security-events: write"},
		"not readable":   {answers(`{"processing_status":"failed","errors":["no rules","and no runs"]}`), "{}", "no rules; and no runs"},
		"failed somehow": {answers(`{"processing_status":"failed"}`), "{}", "does not say why"},
		"a new state":    {answers(`{"processing_status":"perhaps"}`), "{}", "nonsense"},
		"nothing":        {answers(``), "{}", "nonsense"},
		"limited": {func(h *githubtest.Hub, _ *Step) {
			h.Limit("POST", "/repos/acme/shop/code-scanning/", githubtest.Primary, -1, time.Hour)
		}, "{}", "used up"},
		"not accepted": {func(h *githubtest.Hub, _ *Step) {
			h.Break("POST", "/repos/acme/shop/code-scanning/", -1, func(w http.ResponseWriter) { w.WriteHeader(http.StatusAccepted) })
		}, "{}", ""},
	} {
		t.Run(name, func(t *testing.T) {
			h := githubtest.New(t)
			s := stepOf(h)
			c.change(h, &s)
			if err := s.Upload(t.Context(), []byte(c.report)); err == nil || !strings.Contains(err.Error(), c.want) || s.Token != "" && strings.Contains(err.Error(), s.Token) {
				t.Errorf("%v, want %q", err, c.want)
			}
		})
	}
}

// TestUploadIsBounded: a report that is never read is an error once the time is up, and until then it is asked again.
func TestUploadIsBounded(t *testing.T) {
	h := githubtest.New(t)
	up := errors.New("the time is up")
	ctx, end := context.WithCancelCause(t.Context())
	asked := 0
	h.Break("GET", "/repos/acme/shop/code-scanning/sarifs/", -1, func(w http.ResponseWriter) {
		if asked++; asked == 5 {
			end(up)
		}
		_, _ = w.Write([]byte(`{"processing_status":"pending"}`))
	})
	if err := stepOf(h).Upload(ctx, []byte("{}")); !errors.Is(err, up) {
		t.Errorf("%v", err)
	}
	r, err := stepOf(h).open()
	if err != nil || r.timeout != time.Minute {
		t.Fatalf("a minute is %v (%v)", r.timeout, err)
	}
	s := stepOf(h)
	s.Wait = 0
	if r, err := s.open(); err != nil || r.timeout != callWithin {
		t.Errorf("no wait is %v (%v)", r.timeout, err)
	}
}

// TestStepComment keeps one comment of each name.
func TestStepComment(t *testing.T) {
	h := githubtest.New(t)
	for range 2 {
		h.Pull(githubtest.Commit(2), "open")
	}
	h.Pull(githubtest.Commit(3), "open")
	say := func(ref, name, text string, want ...int) {
		t.Helper()
		s := stepOf(h)
		s.Ref = ref
		numbers, err := s.Comment(t.Context(), name, text)
		if diff := cmp.Diff(want, numbers); diff != "" || err != nil {
			t.Fatalf("%v (-want +got)\n%s", err, diff)
		}
	}
	h.Pages(1)
	for i := range 3 {
		say("refs/heads/main", "golive", fmt.Sprint("no-go ", i), 2, 1)
	}
	h.Pages(100)
	say("refs/pull/2/merge", "golive", strings.Repeat("| é | so |\n", 9000), 2)
	say("refs/pull/2/merge", "other", "go", 2)
	if n := len(h.List("comments/1")); n != 1 {
		t.Errorf("#1 has %d comments", n)
	}
	comments := h.List("comments/2")
	if len(comments) != 2 {
		t.Fatalf("#2 has %d comments", len(comments))
	}
	body := comments[0]["body"].(string)
	if !strings.HasPrefix(body, "<!-- golive step:golive ") || !strings.HasSuffix(body, "| é | so |\n\n(the rest is too long for a comment)\n") {
		t.Errorf("the long comment begins %.60q and ends %q", body, body[len(body)-80:])
	}
	// The base of pull_request_target is a commit of others; the event says whom it is about.
	for event, want := range map[string][]int{
		`{"number":2,"pull_request":{"number":2}}`:                             {2},
		`{"issue":{"number":1,"pull_request":{"url":"x"}},"comment":{"id":7}}`: {1},
		`{"issue":{"number":9},"comment":{"id":7}}`:                            {2, 1},
		`{"workflow_run":{"head_sha":"` + githubtest.Commit(3) + `"}}`:         {3},
		`{"workflow_run":{"head_sha":"` + githubtest.Commit(1) + `"}}`:         nil,
		`{"ref":"refs/heads/main"}`:                                            {2, 1},
	} {
		s := stepOf(h)
		s.Event = []byte(event)
		if numbers, err := s.Comment(t.Context(), "event", "go"); err != nil || !cmp.Equal(want, numbers) {
			t.Errorf("%s: commented on %v (%v), want %v", event, numbers, err, want)
		}
	}
	for _, event := range []string{"{", `{"pull_request":{"number":"2"}}`, `{"workflow_run":{"head_sha":"main"}}`} {
		s := stepOf(h)
		s.Event = []byte(event)
		if numbers, err := s.Comment(t.Context(), "event", "go"); err == nil || !strings.Contains(err.Error(), "event: ") {
			t.Errorf("%s: commented on %v (%v)", event, numbers, err)
		}
	}
	s := stepOf(h)
	s.Commit = githubtest.Commit(1)
	if numbers, err := s.Comment(t.Context(), "golive", "go"); err != nil || len(numbers) != 0 {
		t.Errorf("of a commit without a pull request: %v, %v", numbers, err)
	}
}
