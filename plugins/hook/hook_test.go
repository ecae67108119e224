package hook_test

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"unicode/utf8"

	"github.com/golive-dev/golive/guard"
	"github.com/golive-dev/golive/plugins/hook"
)

func TestFail(t *testing.T) {
	for _, test := range []struct {
		name     string
		err      error
		status   int
		says     string
		reported bool
	}{
		{"no plan", fmt.Errorf("open shop: %w", guard.ErrNoPlan), 404, "no plan is for this", false},
		{"no rollout", guard.ErrNoRollout, 404, "there is no such rollout", false},
		{"no right", fmt.Errorf("open: %w", guard.ErrForbidden), 403, "may not do this", false},
		{"over", guard.ErrOver, 409, "the rollout is over", false},
		{"under way", fmt.Errorf("open: %w", &guard.UnderWayError{ID: "shop-7"}), 409, `"rollout":"shop-7"`, false},
		{"refusal", hook.Refuse(400, "service is missing"), 400, "service is missing", false},
		{"temporary", errors.New("disk is full at /secret/path"), 503, "try again", true},
		{"given up", context.DeadlineExceeded, 503, "try again", true},
	} {
		t.Run(test.name, func(t *testing.T) {
			var reports []error
			r := httptest.NewRequest("POST", "/rollback", nil)
			r = r.WithContext(hook.WithReport(r.Context(), func(err error) { reports = append(reports, err) }))
			w := httptest.NewRecorder()
			hook.Fail(w, r, test.err)
			if w.Code != test.status || !strings.Contains(w.Body.String(), test.says) {
				t.Errorf("%d %s, want %d with %q", w.Code, w.Body, test.status, test.says)
			}
			if again := w.Header().Get("Retry-After") != ""; again != test.reported {
				t.Errorf("Retry-After %q", w.Header().Get("Retry-After"))
			}
			if (len(reports) == 1 && errors.Is(reports[0], test.err)) != test.reported {
				t.Errorf("reported %v", reports)
			}
			if test.reported && strings.Contains(w.Body.String(), test.err.Error()) {
				t.Errorf("the tool is told %s", w.Body)
			}
		})
	}
}

func TestReportWithoutListener(t *testing.T) {
	hook.Report(t.Context(), errors.New("lost"))
}

func TestRead(t *testing.T) {
	for _, test := range []struct {
		name   string
		body   io.Reader
		status int // 0: it is read
	}{
		{"empty", strings.NewReader(""), 0},
		{"the longest", strings.NewReader(strings.Repeat("x", hook.BodyBytes)), 0},
		{"too long", strings.NewReader(strings.Repeat("x", hook.BodyBytes+1)), 413},
		{"cut", io.MultiReader(strings.NewReader("{"), broken{}), 400},
	} {
		t.Run(test.name, func(t *testing.T) {
			r := httptest.NewRequest("POST", "/", test.body)
			_, err := hook.Read(httptest.NewRecorder(), r)
			if test.status == 0 && err != nil || test.status != 0 && (err == nil || hook.Status(err) != test.status) {
				t.Errorf("%v, want status %d", err, test.status)
			}
		})
	}
}

type broken struct{}

func (broken) Read([]byte) (int, error) { return 0, io.ErrUnexpectedEOF }

func TestDecode(t *testing.T) {
	for _, test := range []struct{ body, says string }{
		{`{"name":"shop","more":[1]}`, ""},
		{`{"name":1}`, `"name" is of the JSON type number, and has to be a string`},
		{`{"steps":"no"}`, `"steps" is of the JSON type string, and has to be a whole number`},
		{`{"tags":[]}`, `"tags" is of the JSON type array, and has to be an object`},
		{`[]`, `"the message" is of the JSON type array, and has to be an object`},
		{``, "the message is no JSON"},
		{`{"name":"shop"`, "the message is no JSON"},
		{`{"name":"shop"} {}`, "the message is no JSON"},
	} {
		var into struct {
			Name  string            `json:"name"`
			Steps int               `json:"steps"`
			Tags  map[string]string `json:"tags"`
		}
		err := hook.Decode([]byte(test.body), &into)
		if got := fmt.Sprint(err); test.says == "" && err != nil || !strings.Contains(got, test.says) {
			t.Errorf("%s: %v, want %q", test.body, err, test.says)
		}
		if err != nil && hook.Status(err) != 400 {
			t.Errorf("%s: status %d", test.body, hook.Status(err))
		}
	}
}

func TestRelease(t *testing.T) {
	long := strings.Repeat("x", hook.NameBytes+1)
	good := guard.Release{Service: "shop", Environment: "prod", From: "v1", To: "v2"}
	for _, test := range []struct {
		name   string
		change func(*guard.Release)
		ok     bool
	}{
		{"good", func(*guard.Release) {}, true},
		{"first", func(r *guard.Release) { r.From = "" }, true},
		{"any environment", func(r *guard.Release) { r.Environment = "" }, true},
		{"no service", func(r *guard.Release) { r.Service = "" }, false},
		{"no version", func(r *guard.Release) { r.To = "" }, false},
		{"itself", func(r *guard.Release) { r.To = r.From }, false},
		{"long", func(r *guard.Release) { r.Service = long }, false},
		{"two lines", func(r *guard.Release) { r.To = "v2\nv3" }, false},
		{"no text", func(r *guard.Release) { r.From = "\xff" }, false},
	} {
		r := good
		test.change(&r)
		if err := hook.Release(r); (err == nil) != test.ok {
			t.Errorf("%s: %v", test.name, err)
		}
	}
}

func TestID(t *testing.T) {
	seen := make(map[string][]string)
	for _, parts := range [][]string{{}, {""}, {"ab"}, {"a", "b"}, {"b", "a"}, {"ab", ""}, {"", "ab"}} {
		id := hook.ID("tool", "open", parts...)
		if seen[id] != nil {
			t.Errorf("%q and %q are both %s", parts, seen[id], id)
		}
		seen[id] = parts
		if id != hook.ID("tool", "open", parts...) || !strings.HasPrefix(id, "tool/open/") {
			t.Errorf("%q is once %s", parts, id)
		}
	}
}

func TestCut(t *testing.T) {
	for _, test := range []struct{ text, want string }{
		{"", ""}, {"12345", "12345"}, {"123456", "1234…"}, {"äöüßé", "äöüßé"}, {"äöüßéè", "äöüß…"},
	} {
		if got := hook.Cut(test.text, 5); got != test.want || utf8.RuneCountInString(got) > 5 {
			t.Errorf("%q is cut to %q, want %q", test.text, got, test.want)
		}
	}
}

func TestMethod(t *testing.T) {
	w := httptest.NewRecorder()
	if hook.Method(w, httptest.NewRequest("PUT", "/", nil), http.MethodGet, http.MethodPost) {
		t.Error("PUT is let through")
	}
	if w.Code != 405 || w.Header().Get("Allow") != "GET, POST" {
		t.Errorf("%d, Allow: %s", w.Code, w.Header().Get("Allow"))
	}
}
