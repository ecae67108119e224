package github

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"regexp"
	"strconv"
	"strings"
	"time"

	"github.com/google/go-github/v60/github"

	"github.com/golive-dev/golive/guard"
)

var errNonsense = errors.New("the answer is nonsense")

// A place is where a page of a list begins. The zero value is the first page. GitHub counts pages in some lists,
// and has a cursor in others.
type place struct {
	page  int
	after string
}

// all reads every page of a list. A page that is nil, and not an empty list, is what go-github makes of an empty
// body, and so no answer; the page function gives the error for it.
func all[T any](page func(place) ([]T, *github.Response, error)) ([]T, error) {
	var list []T
	var at place
	for range pagesMost {
		more, response, err := page(at)
		switch {
		case err != nil:
			return nil, err
		case more == nil:
			return nil, fmt.Errorf("%w: it holds no list", errNonsense)
		}
		list = append(list, more...)
		next := place{response.NextPage, response.After}
		switch {
		case next == place{} && strings.Contains(response.Header.Get("Link"), `rel="next"`):
			return nil, fmt.Errorf("%w: there is a next page, and no way to it", errNonsense)
		case next == place{}:
			return list, nil
		}
		at = next
	}
	return nil, fmt.Errorf("the list has more than %d pages", pagesMost)
}

// bound gives a probe its time.
func (r *repository) bound(ctx context.Context) (context.Context, context.CancelFunc) {
	return context.WithTimeoutCause(ctx, r.timeout, fmt.Errorf("no answer within %v", r.timeout))
}

// A need is what an answer takes, for the errors of those who lack it.
type need struct {
	asked      string // "Dependabot alerts"
	permission string // of the token
	enable     string // what has to be switched on; empty: nothing
	missing    string // what 404 and 422 say is not there
}

// explain says in one sentence why a question has no answer, and how to mend it. GitHub has three kinds of limits
// and reports them in four ways, and answers 404 to what a token may not see.
func (r *repository) explain(ctx context.Context, n need, err error) error {
	var (
		limited   *LimitError
		primary   *github.RateLimitError
		secondary *github.AbuseRateLimitError
		refused   *github.ErrorResponse
		untrusted *tokenError
		otp       *github.TwoFactorAuthError
		accepted  *github.AcceptedError
		addressed *url.Error
		syntax    *json.SyntaxError
		kind      *json.UnmarshalTypeError
		tooLong   *http.MaxBytesError
	)
	switch {
	case ctx.Err() != nil:
		err = context.Cause(ctx)
	case errors.As(err, &limited):
		err = limited
	case errors.As(err, &primary):
		err = &LimitError{primary.Rate.Reset.Time, fmt.Sprintf("the token's limit of %d requests an hour is used up until %s (check again then)", primary.Rate.Limit, clock(primary.Rate.Reset.Time))}
	case errors.As(err, &secondary):
		err = slowDown(secondary.RetryAfter)
	case errors.As(err, &accepted):
		err = errors.New("the answer is not ready yet (check again in a minute)")
	case errors.As(err, &otp):
		err = errors.New("the token is refused (make a new one)")
	case errors.As(err, &refused) && errors.As(err, &untrusted):
		err = r.noToken(n, refused)
	case errors.As(err, &refused):
		err = r.refusal(n, refused)
	case errors.As(err, &tooLong):
		err = fmt.Errorf("the answer has more than %d bytes", tooLong.Limit)
	case errors.As(err, &syntax), errors.As(err, &kind), errors.Is(err, io.ErrUnexpectedEOF):
		err = fmt.Errorf("%w: %w", errNonsense, err)
	case errors.As(err, &addressed):
		err = addressed.Err // without the address
	}
	return fmt.Errorf("ask %s for %s of %s: %w", r.api.BaseURL.Host, n.asked, r, err)
}

// answered is what GitHub has said.
func (r *repository) answered(refused *github.ErrorResponse) string {
	said := fmt.Sprintf("it answers status %d", refused.Response.StatusCode)
	if message := r.quote(refused.Message); message != "" {
		said += ", " + message
	}
	return said
}

// noToken reads an answer to an app that wanted a token.
func (r *repository) noToken(n need, refused *github.ErrorResponse) error {
	said := r.answered(refused)
	switch status := refused.Response.StatusCode; {
	case status == http.StatusTooManyRequests:
		return slowDown(retryAfter(refused.Response.Header))
	case status == http.StatusUnauthorized:
		said += " (see that app_id and private_key belong together, and that the clock is right)"
	case status == http.StatusNotFound:
		said += " (install the app in " + r.String() + ")"
	case status == http.StatusUnprocessableEntity, status == http.StatusForbidden:
		said += fmt.Sprintf(" (give the app the permission %q, and accept that where it is installed)", n.permission)
	}
	return fmt.Errorf("the app gets no token: %s", said)
}

// refusal reads an answer that is none of the errors that go-github knows by itself.
func (r *repository) refusal(n need, refused *github.ErrorResponse) error {
	status, header := refused.Response.StatusCode, refused.Response.Header
	said := r.answered(refused)
	switch wait := retryAfter(header); {
	case status == http.StatusTooManyRequests, status == http.StatusForbidden && wait != nil:
		return slowDown(wait)
	case status == http.StatusUnauthorized:
		return fmt.Errorf("%s (the token is refused or has expired: make a new one)", said)
	case status/100 == 3:
		return fmt.Errorf("%s: the repository has moved (write its new name under repository)", said)
	case status == http.StatusForbidden, status == http.StatusNotFound:
		return fmt.Errorf("%s (%s)", said, n.mend(refused.Message))
	case status == http.StatusUnprocessableEntity && n.missing != "":
		return fmt.Errorf("%s (%s)", said, n.missing)
	}
	return errors.New(said)
}

// mend is what to do about a refusal. Where GitHub does not say whether it is the repository or the token, it is
// told in full.
func (n need) mend(message string) string {
	message = strings.ToLower(message)
	permit := fmt.Sprintf("give the token the permission %q", n.permission)
	off := strings.Contains(message, "disabled") || strings.Contains(message, "enabled") || strings.Contains(message, "no analysis found")
	switch {
	case strings.Contains(message, "not accessible"):
		return permit
	case n.enable != "" && off:
		return n.enable
	case n.enable != "":
		return permit + ", or " + n.enable
	case n.missing != "":
		return n.missing + ", or " + permit
	}
	return permit
}

// slowDown says until when GitHub wants to be left alone. Its documentation asks for a minute where it does not say.
func slowDown(wait *time.Duration) error {
	if wait == nil || *wait < 0 {
		return &LimitError{time.Now().Add(unsaid), "GitHub wants fewer requests, and does not say until when (check again in a minute or later)"}
	}
	until := time.Now().Add(*wait)
	return &LimitError{until, fmt.Sprintf("GitHub wants fewer requests, and none before %s (check again then)", clock(until))}
}

// retryAfter reads the two headers by which GitHub says when to come back.
func retryAfter(h http.Header) *time.Duration {
	if seconds, err := strconv.ParseInt(h.Get("Retry-After"), 10, 32); err == nil {
		wait := time.Duration(seconds) * time.Second
		return &wait
	}
	if reset, err := strconv.ParseInt(h.Get("X-RateLimit-Reset"), 10, 64); err == nil && h.Get("X-RateLimit-Remaining") == "0" {
		wait := time.Until(time.Unix(reset, 0))
		return &wait
	}
	return nil
}

func clock(t time.Time) string { return t.UTC().Format("2006-01-02 15:04:05 UTC") }

// quote tells what GitHub said, in short and without what golive proves itself with.
func (r *repository) quote(text string) string {
	if text = brief(r.proofs.hide(text)); text == "" {
		return ""
	}
	return fmt.Sprintf("%q", text)
}

// brief makes one short line of a text that others wrote.
func brief(text string) string {
	const most = 120
	text = strings.Join(strings.Fields(strings.ToValidUTF8(text, "?")), " ")
	if runes := []rune(text); len(runes) > most {
		text = string(runes[:most]) + "..."
	}
	return text
}

// some names the first of a list, and counts the others.
func some(names []string) string {
	if rest := len(names) - named; rest > 0 {
		return fmt.Sprintf("%s and %d more", strings.Join(names[:named], ", "), rest)
	}
	return strings.Join(names, ", ")
}

// checkCommit finds a mistake in a template before the launch.
func checkCommit(template guard.Template) error {
	sample := make(map[string]string)
	for word := range (guard.Release{}).Words() {
		sample[word] = "x"
	}
	if _, err := guard.Fill(template, sample); err != nil {
		return fmt.Errorf("commit: %w", err)
	}
	return nil
}

// commitID is the full name of a commit, by SHA-1 or by SHA-256.
var commitID = regexp.MustCompile(`^([0-9a-f]{40}|[0-9a-f]{64})$`)

// commit finds the commit that a template names for a release: by its ID, or by a branch or a tag. What is asked
// about it later is asked by its ID, so that all answers are about the same commit.
func (r *repository) commit(ctx context.Context, template guard.Template, release guard.Release) (string, error) {
	name, err := guard.Fill(template, release.Words())
	if err != nil {
		return "", fmt.Errorf("commit: %w", err)
	}
	for _, step := range strings.Split(name, "/") {
		if step == "" || strings.HasPrefix(step, ".") { // which no branch has, and which an address is shortened by
			return "", fmt.Errorf("commit: %q names no commit", name)
		}
	}
	sha, _, err := r.api.Repositories.GetCommitSHA1(ctx, r.owner, r.name, name, "")
	switch {
	case err != nil:
		return "", r.explain(ctx, need{
			asked: fmt.Sprintf("commit %q", name), permission: "Contents: read",
			missing: "write under commit what names the commit of a release, such as v{{.To}}",
		}, err)
	case !commitID.MatchString(sha):
		return "", r.explain(ctx, need{asked: fmt.Sprintf("commit %q", name)}, fmt.Errorf("%w: %.80q is not the ID of a commit", errNonsense, sha))
	}
	return sha, nil
}

// short is how people write the ID of a commit.
func short(sha string) string { return sha[:min(len(sha), 10)] }
