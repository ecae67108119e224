package github

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"regexp"
	"strings"
	"time"

	"github.com/google/go-github/v60/github"

	"github.com/golive-dev/golive/guard"
)

// A mark is the first line of whatever golive keeps up to date at GitHub. Nobody sees it there; golive finds by it what it
// has written, and knows which notice that shows.
type mark struct {
	what string    // "comment:checkout:production"
	at   time.Time // of the notice
	key  string    // of the notice
}

// markOf names what is written about something. Names may hold anything, and a mark ends at the first "-->".
func markOf(kind string, names ...string) string {
	for _, name := range names {
		kind += ":" + escaped(name)
	}
	return kind
}

func escaped(text string) string { return strings.ReplaceAll(url.QueryEscape(text), "-", "%2D") }

// by is the mark of a notice on something.
func (a about) mark(what string) mark { return mark{what, a.At, escaped(a.Key)} }

func (m mark) String() string {
	return fmt.Sprintf("<!-- golive %s %s %s -->\n", m.what, m.at.UTC().Format(time.RFC3339Nano), m.key)
}

var marked = regexp.MustCompile(`^<!-- golive (\S+) (\S+) (\S*) -->`)

// readMark reads the mark of a text; ok says that it has one.
func readMark(text string) (m mark, ok bool) {
	found := marked.FindStringSubmatch(text)
	if found == nil {
		return mark{}, false
	}
	at, err := time.Parse(time.RFC3339Nano, found[2])
	return mark{found[1], at, found[3]}, err == nil
}

// shows says that a text with this mark need not be changed for a notice: it shows that, or a later one.
func (m mark) shows(other mark) bool {
	return m.at.After(other.at) || m.at.Equal(other.at) && m.key == other.key
}

// writer is the name under which GitHub shows what golive writes. Anybody may write a text with a mark in it, and only
// golive's own are edited.
func (r *repository) writer(ctx context.Context) (string, error) {
	if r.app.ID != 0 {
		signs, err := r.app.sign(r.proofs)
		if err != nil {
			return "", err
		}
		api, err := enterprise(&http.Client{Transport: signs}, r.api.BaseURL.String())
		if err != nil {
			return "", err
		}
		app, _, err := api.Apps.Get(ctx, "")
		if err == nil && app.GetSlug() == "" {
			err = fmt.Errorf("%w: the app has no name", errNonsense)
		}
		if err != nil {
			return "", r.explain(ctx, need{asked: "the name of the app", permission: "Metadata: read"}, err)
		}
		return app.GetSlug() + "[bot]", nil
	}
	user, _, err := r.api.Users.Get(ctx, "")
	var refused *github.ErrorResponse
	switch {
	case errors.As(err, &refused) && refused.Response.StatusCode == http.StatusForbidden && strings.Contains(strings.ToLower(refused.Message), "not accessible by integration"):
		return "github-actions[bot]", nil // the token of a workflow, which has no account to ask about
	case err == nil && user.GetLogin() == "":
		err = fmt.Errorf("%w: the account has no name", errNonsense)
	}
	if err != nil {
		return "", r.explain(ctx, need{asked: "the account of the token", permission: "Metadata: read"}, err)
	}
	return user.GetLogin(), nil
}

// writer is that of the repository, which is asked once.
func (n *Notifier) writer(ctx context.Context) (name string, err error) {
	if n.name == "" {
		n.name, err = n.repository.writer(ctx)
	}
	return n.name, err
}

// stick keeps one comment on an issue or a pull request up to date, which is found by its mark through all pages. It says
// whether there was anything to change.
func (r *repository) stick(ctx context.Context, number int, writer string, m mark, body string) (changed bool, err error) {
	n := need{asked: fmt.Sprintf("the comments of #%d", number), permission: "Pull requests: write"}
	list, err := all(func(at place) ([]*github.IssueComment, *github.Response, error) {
		return r.api.Issues.ListComments(ctx, r.owner, r.name, number, &github.IssueListCommentsOptions{ListOptions: github.ListOptions{Page: at.page, PerPage: perPage}})
	})
	if err != nil {
		return false, r.explain(ctx, n, err)
	}
	text := &github.IssueComment{Body: github.String(m.String() + body)}
	for _, c := range list {
		old, ok := readMark(c.GetBody())
		if !ok || old.what != m.what || c.GetUser().GetLogin() != writer {
			continue
		}
		if old.shows(m) {
			return false, nil
		}
		if _, _, err = r.api.Issues.EditComment(ctx, r.owner, r.name, c.GetID(), text); err != nil {
			return false, r.explain(ctx, n, err)
		}
		return true, nil
	}
	if _, _, err = r.api.Issues.CreateComment(ctx, r.owner, r.name, number, text); err != nil {
		return false, r.explain(ctx, n, err)
	}
	return true, nil
}

// pullsMost is how many pull requests of one commit get a comment.
const pullsMost = 10

// comment keeps one comment up to date on each pull request of the commit.
func (n *Notifier) comment(ctx context.Context, a about) (string, error) {
	r := n.repository
	pulls, err := r.pulls(ctx, a.sha)
	if err != nil {
		return "", err
	}
	if len(pulls) == 0 {
		return "no pull request has the commit", nil
	}
	writer, err := n.writer(ctx)
	if err != nil {
		return "", err
	}
	var numbers []string
	for _, pull := range pulls[:min(len(pulls), pullsMost)] {
		if _, err := r.stick(ctx, pull.GetNumber(), writer, a.mark(markOf("comment", a.Release.Service, a.Release.Environment)), a.body()); err != nil {
			return "", err
		}
		numbers = append(numbers, fmt.Sprintf("#%d", pull.GetNumber()))
	}
	return "comment on " + some(numbers), nil
}

// incidentLabel is on every issue that golive opens.
const incidentLabel = "golive-incident"

// issue keeps the one issue of an incident up to date, and closes it once it is stood down. What people do with it stays: a
// title that they have changed, labels, and that they have closed it.
func (n *Notifier) issue(ctx context.Context, a about) (string, error) {
	r := n.repository
	writer, err := n.writer(ctx)
	if err != nil {
		return "", err
	}
	m := a.mark(markOf("incident", a.Release.ID))
	asks := need{asked: "the issues", permission: "Issues: write", enable: "switch issues on in the settings of the repository"}
	list, err := all(func(at place) ([]*github.Issue, *github.Response, error) {
		return r.api.Issues.ListByRepo(ctx, r.owner, r.name, &github.IssueListByRepoOptions{
			State: "all", Labels: []string{incidentLabel}, ListOptions: github.ListOptions{Page: at.page, PerPage: perPage},
		})
	})
	if err != nil {
		return "", r.explain(ctx, asks, err)
	}
	change := &github.IssueRequest{Body: github.String(m.String() + a.body())}
	if a.Ends {
		change.State, change.StateReason = github.String("closed"), github.String("completed")
	}
	for _, old := range list {
		was, ok := readMark(old.GetBody())
		if !ok || was.what != m.what || old.GetUser().GetLogin() != writer || old.IsPullRequest() {
			continue
		}
		if was.shows(m) {
			return fmt.Sprintf("issue #%d", old.GetNumber()), nil
		}
		if _, _, err = r.api.Issues.Edit(ctx, r.owner, r.name, old.GetNumber(), change); err != nil {
			return "", r.explain(ctx, asks, err)
		}
		return fmt.Sprintf("issue #%d", old.GetNumber()), nil
	}
	title := fmt.Sprintf("Incident: %s, going back from %s", strings.TrimSpace(a.Release.Service+" "+a.Release.Environment), a.Release.To)
	made, _, err := r.api.Issues.Create(ctx, r.owner, r.name, &github.IssueRequest{
		Title: github.String(guard.Line(title, 200)), Body: change.Body, Labels: &[]string{incidentLabel},
	})
	if err == nil && a.Ends { // GitHub opens all issues open
		_, _, err = r.api.Issues.Edit(ctx, r.owner, r.name, made.GetNumber(), change)
	}
	if err != nil {
		return "", r.explain(ctx, asks, err)
	}
	return fmt.Sprintf("issue #%d", made.GetNumber()), nil
}
