package github

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"net/http"
	"strconv"
	"strings"
	"sync"
	"time"

	"github.com/google/go-github/v60/github"

	"github.com/golive-dev/golive/guard"
)

// Notifier keeps up to date at GitHub how a rollout stands. Each of its four places shows the latest state, and is edited
// where it stands: nobody gets a message for each step.
type Notifier struct {
	repository *repository
	show       shown
	commit     guard.Template
	env        guard.Template
	link       guard.Template // empty: none
	plan       string         // the path of the plan in the repository
	turn       chan struct{}  // held by whoever writes: what is looked for and not found is made once
	name       string         // under which GitHub shows what this one writes; empty: not known yet. It belongs to the turn
}

var _ guard.Notifier = (*Notifier)(nil)

// shown are the places where a state can be shown.
type shown struct {
	CheckRun   bool `json:"check_run"`
	Buttons    bool `json:"buttons"`
	Deployment bool `json:"deployment"`
	Comment    bool `json:"comment"`
	Issue      bool `json:"issue"`
}

// notifyWithin is the time for all places together: a dozen requests, and golive gives a notifier no more than 15 seconds.
const notifyWithin = 14 * time.Second

// NewNotifier reads {check_run, buttons, deployment, comment, issue, environment, commit, link, plan} beside the keys of all
// parts. At least one of the five is true:
//
//	notify:
//	  - use: github
//	    progress: true # show the state from the beginning on, and not only how it ends
//	    with:
//	      repository: acme/shop
//	      app_id: 12345
//	      private_key: "${GITHUB_APP_KEY}"
//	      check_run: true  # on the commit of the release: queued, in progress, and how it has ended
//	      buttons: true    # a second check run: Roll back now, Extend watch, Stand down
//	      deployment: true # the status of the latest deployment of the commit to the environment
//	      comment: true    # one comment on each pull request of the commit
//	      issue: true      # one issue for each incident, closed when it is stood down
//	      environment: "{{.Environment}}"                      # at GitHub; this is the default
//	      commit: "{{.To}}"                                    # of a release; this is the default
//	      link: "https://golive.example.org/rollouts/{{.ID}}"  # where more is told, the report too
//	      plan: deploy/golive.yaml                             # in the repository; what keeps the gate shut is noted on its lines
//
// GitHub shows buttons only on check runs that are completed, and so they have one of their own, which is neutral and says
// nothing of the release. They need an app, and a golive serve that hears its webhook: see NewGate. Whoever can read the
// repository can read all of this.
//
// A check run needs the permission Checks: write, a deployment Deployments: write, a comment Pull requests: write, an issue
// Issues: write, and whatever is about a commit Contents: read. A tenth of the requests that GitHub allows in an hour is left to
// those who move traffic.
func NewNotifier(with guard.With) (guard.Notifier, error) {
	config := struct {
		settings
		shown
		Environment guard.Template `json:"environment"`
		Commit      guard.Template `json:"commit"`
		Link        guard.Template `json:"link"`
		Plan        string         `json:"plan"`
	}{settings: defaults(), Environment: "{{.Environment}}", Commit: "{{.To}}", Plan: "golive.yaml"}
	config.Timeout = guard.Duration(notifyWithin)
	mistakes := []error{with.Decode(&config), checkCommit(config.Commit)}
	if config.shown == (shown{}) {
		mistakes = append(mistakes, errors.New("check_run, deployment, comment, issue: nothing is to be shown (write check_run: true)"))
	}
	if _, isApp := config.app(); config.Buttons && !isApp {
		mistakes = append(mistakes, errors.New("buttons: whoever presses one is heard by an app alone (write app_id and private_key)"))
	}
	if _, err := guard.Fill(config.Environment, guard.Release{}.Words()); err != nil || config.Environment == "" {
		mistakes = append(mistakes, fmt.Errorf("environment: is empty, or %w", cmp.Or(err, errors.New("names nothing"))))
	}
	if config.Link != "" {
		if link, err := guard.FillURL(config.Link, guard.Release{ID: "x", Service: "x", Environment: "x", From: "x", To: "x"}.Words()); err != nil {
			mistakes = append(mistakes, fmt.Errorf("link: %w", err))
		} else if !strings.HasPrefix(link, "https://") && !strings.HasPrefix(link, "http://") {
			mistakes = append(mistakes, errors.New("link: must begin with https:// (like https://golive.example.org/rollouts/{{.ID}})"))
		}
	}
	config.settings.spares = true
	repository, err := config.open(config.shown.permissions())
	if err := errors.Join(append(mistakes, err)...); err != nil {
		return nil, err
	}
	return &Notifier{
		repository: repository, show: config.shown, commit: config.Commit, env: config.Environment, link: config.Link, plan: config.Plan,
		turn: make(chan struct{}, 1),
	}, nil
}

// permissions are what an app needs for what is shown, and no more.
func (s shown) permissions() *github.InstallationPermissions {
	p := &github.InstallationPermissions{Metadata: github.String("read")}
	write := github.String("write")
	if s.CheckRun || s.Buttons {
		p.Checks = write
	}
	if s.Deployment {
		p.Deployments = write
	}
	if s.Comment {
		p.PullRequests = write
	}
	if s.Issue {
		p.Issues = write
	}
	if s.ofCommit() {
		p.Contents = github.String("read")
	}
	return p
}

// ofCommit says whether anything is shown that is about a commit.
func (s shown) ofCommit() bool { return s.CheckRun || s.Buttons || s.Deployment || s.Comment }

// Notify brings all places up to date. A repeat changes nothing, and neither does a notice that is older than what is shown
// already. One place that cannot be written keeps no other from it; then there is an error, and a repeat does the rest. A
// LimitError says until when GitHub wants no more.
func (n *Notifier) Notify(ctx context.Context, notice guard.Notice) (guard.Receipt, error) {
	ctx, cancel := n.repository.bound(ctx)
	defer cancel()
	select {
	case n.turn <- struct{}{}:
		defer func() { <-n.turn }()
	case <-ctx.Done():
		return guard.Receipt{}, context.Cause(ctx)
	}
	switch {
	case notice.News == guard.NewsTest:
		return n.test(ctx)
	case notice.Audience != "" && notice.Audience != "team":
		return guard.Receipt{}, fmt.Errorf("github shows a state to the team, and has no words for %s (leave that to another channel: for)", guard.Line(notice.Audience, 40))
	}
	did, err := n.all(ctx, notice)
	if err != nil {
		return guard.Receipt{}, err
	}
	receipt := guard.Receipt{Detail: n.repository.String() + ": " + strings.Join(did, ", ")}
	if notice.Audience != "" && !n.show.Issue {
		for _, to := range notice.To {
			receipt.Handed = append(receipt.Handed, guard.Handed{Name: to.Name, Role: to.Role, Problem: "github tells nobody of an incident without issue: true"})
		}
	}
	return receipt, nil
}

// test finds out whether GitHub can be asked, and leaves nothing there. An app gets no token for what it may not do.
func (n *Notifier) test(ctx context.Context) (guard.Receipt, error) {
	r := n.repository
	if _, _, err := r.api.Repositories.Get(ctx, r.owner, r.name); err != nil {
		return guard.Receipt{}, r.explain(ctx, need{asked: "the repository", permission: "Metadata: read"}, err)
	}
	return guard.Receipt{Detail: r.String() + " answers, and nothing was written there for a test"}, nil
}

// all writes to each place, and returns what it did there, in a few words.
func (n *Notifier) all(ctx context.Context, notice guard.Notice) (did []string, err error) {
	a := about{Notice: notice}
	if n.link != "" {
		if a.link, err = guard.FillURL(n.link, notice.Release.Words()); err != nil {
			return nil, fmt.Errorf("link: %w", err)
		}
	}
	var problems []error
	if n.show.ofCommit() {
		if a.sha, err = n.repository.commit(ctx, n.commit, notice.Release); err != nil {
			problems = append(problems, err)
		}
	}
	for _, place := range []struct {
		on   bool
		show func(context.Context, about) (did string, err error)
	}{
		{n.show.CheckRun && a.sha != "", n.checkRun},
		{n.show.Buttons && a.sha != "", n.buttons},
		{n.show.Deployment && a.sha != "", n.deployment},
		{n.show.Comment && a.sha != "", n.comment},
		{n.show.Issue && notice.News != "", n.issue},
	} {
		if !place.on {
			continue
		}
		what, err := place.show(ctx, a)
		if err != nil {
			problems = append(problems, err)
			continue
		}
		did = append(did, what)
	}
	if len(did) == 0 && len(problems) == 0 {
		did = []string{"no incident, and nothing else to show"}
	}
	return did, errors.Join(problems...)
}

// about is a notice, and what there is to know of it at GitHub.
type about struct {
	guard.Notice
	sha  string // of the release; empty: not needed, or not known
	link string // empty: there is none
}

// over says that the rollout has ended, however that was.
func (a about) over() bool { return a.Progress.Phase == guard.Over }

// headline says where the rollout stands, on one line.
func (a about) headline() string {
	p := a.Progress
	switch {
	case !a.Passing:
		return guard.Line(a.Headline(), 100)
	case p.Phase == guard.Checking:
		return "asking the checks"
	}
	return fmt.Sprintf("%s, %d %% of the traffic", p.Phase, p.Percent)
}

// Bounds of what is shown, in bytes. GitHub takes 65,535 characters of all, the mark in front of it too.
const (
	bodyMost     = 60_000
	blockersMost = 20_000 // of it; what else there is needs no more than as much again, and the text of the notice has the rest
)

// body says the notice in Markdown, in no more than bodyMost bytes. What others wrote means itself there, and calls nobody.
func (a about) body() string {
	r, p := a.Release, a.Progress
	standing := string(p.Phase)
	if p.Outcome != "" {
		standing = string(p.Outcome)
	}
	if p.Incident {
		standing += ", and an incident that is not stood down"
	}
	version := r.To
	if !r.First() {
		version = r.From + " → " + r.To
	}
	var b strings.Builder
	row := func(name, text string) {
		fmt.Fprintf(&b, "| %s | %s |\n", name, guard.EscapeMarkdown(guard.Line(text, 300)))
	}
	fmt.Fprintf(&b, "**golive: %s**\n\n| | |\n|---|---|\n", guard.EscapeMarkdown(a.headline()))
	row("Service", strings.TrimSpace(r.Service+" "+r.Environment))
	row("Version", version)
	if standing != "" {
		row("Standing", standing)
		row("Traffic", strconv.Itoa(p.Percent)+" %")
	}
	row("Rollout", r.ID)
	row("As of", clock(a.At))
	var after strings.Builder
	for i, blocker := range a.Blockers {
		const told = 20
		line, fits := fitting(blocker.Finding, blockersMost-after.Len())
		if i == told || !fits {
			fmt.Fprintf(&after, "\n- and %d more", len(a.Blockers)-i)
			break
		}
		after.WriteString(line)
	}
	if a.link != "" {
		fmt.Fprintf(&after, "\n\n[More, and the report](%s)", a.link)
	}
	if text := strings.TrimSpace(guard.Printable(a.Text)); text != "" {
		b.WriteString("\n" + fenced(text, bodyMost-b.Len()-after.Len()-len("\n\n")) + "\n")
	}
	return b.String() + after.String()
}

// fenced shows a text as it is, or as much of it as there is room for in so many bytes, which are a hundred at least.
func fenced(text string, most int) string {
	around := func(text string) string {
		longest := 2
		for ticks := range strings.FieldsFuncSeq(text, func(r rune) bool { return r != '`' }) {
			longest = max(longest, len(ticks))
		}
		fence := strings.Repeat("`", longest+1)
		return fence + "\n" + text + "\n" + fence
	}
	most = max(most, 100)
	var block string
	for _, room := range []int{most, most - len(around("")), most/3 - 2} { // the last is for what is all fence itself
		if block = around(clip(text, room)); len(block) <= most {
			break
		}
	}
	return block
}

// sparing keeps the last tenth of a quota of requests for others: what people look at may be late, and the way back has to
// ask the same GitHub.
type sparing struct {
	next http.RoundTripper

	mu    sync.Mutex
	until time.Time // nothing is asked before
}

func (s *sparing) RoundTrip(r *http.Request) (*http.Response, error) {
	s.mu.Lock()
	until := s.until
	s.mu.Unlock()
	if time.Now().Before(until) {
		closeBody(r)
		return nil, &LimitError{until, fmt.Sprintf("nine tenths of the requests of this hour are used, and the rest is for the way back until %s", clock(until))}
	}
	response, err := s.next.RoundTrip(r)
	if err != nil {
		return nil, err
	}
	number := func(name string) int64 {
		n, err := strconv.ParseInt(response.Header.Get("X-RateLimit-"+name), 10, 64)
		if err != nil {
			return -1
		}
		return n
	}
	if limit, left, reset := number("Limit"), number("Remaining"), number("Reset"); limit > 0 && left >= 0 && left < limit/10 && reset > 0 {
		s.mu.Lock()
		s.until = time.Unix(reset, 0)
		s.mu.Unlock()
	}
	return response, nil
}
