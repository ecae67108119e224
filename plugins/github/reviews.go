package github

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"net/url"
	"slices"
	"strings"

	"github.com/google/go-github/v60/github"

	"github.com/golive-dev/golive/guard"
)

// Reviews asks who has approved the commit of a release.
type Reviews struct {
	repository *repository
	commit     guard.Template
	approvals  int
	stale      bool
}

var _ guard.Probe = (*Reviews)(nil)

// NewReviews reads {commit, approvals, stale} beside the keys of all probes. Commit names the commit of a release,
// {{.To}} unless said otherwise. Approvals is how many people must have approved it, 1 unless said otherwise. With
// stale, approvals count that were given to an older commit of the pull request.
//
// The token needs the permissions to read contents, pull requests and metadata.
func NewReviews(with guard.With) (guard.Probe, error) {
	config := struct {
		settings
		Commit    guard.Template `json:"commit"`
		Approvals int            `json:"approvals"`
		Stale     bool           `json:"stale"`
	}{settings: defaults(), Commit: "{{.To}}", Approvals: 1}
	mistakes := []error{with.Decode(&config), checkCommit(config.Commit)}
	if config.Approvals < 1 {
		mistakes = append(mistakes, errors.New("approvals: must be at least 1"))
	}
	repository, err := config.open(&github.InstallationPermissions{
		Contents: github.String("read"), PullRequests: github.String("read"), Metadata: github.String("read"),
	})
	if err := errors.Join(append(mistakes, err)...); err != nil {
		return nil, err
	}
	return &Reviews{repository, config.Commit, config.Approvals, config.Stale}, nil
}

// Probe looks for a pull request with the commit that is open or merged, has enough approvals, and no demand for
// changes. As in a branch protection of GitHub, the last word of each person counts, and only of those who may
// write to the repository: on a public one, anybody can approve. Neither the author nor a bot is such a person.
func (p *Reviews) Probe(ctx context.Context, release guard.Release) (guard.Finding, error) {
	ctx, cancel := p.repository.bound(ctx)
	defer cancel()
	sha, err := p.repository.commit(ctx, p.commit, release)
	if err != nil {
		return guard.Finding{}, err
	}
	subject := fmt.Sprintf("%s@%s", p.repository, short(sha))
	finding := guard.Finding{
		Subject:  subject,
		Verdict:  guard.Fail,
		Title:    subject + " was reviewed",
		Reason:   "the commit came without a pull request",
		Remedy:   "open a pull request with this commit, and have it approved",
		Expected: fmt.Sprintf("a pull request with %d or more approvals by others than its author, and no demand for changes", p.approvals),
		Observed: "no pull request, open or merged",
	}
	pulls, err := p.repository.pulls(ctx, sha)
	if err != nil {
		return guard.Finding{}, err
	}
	var observed, reasons []string
	for _, pull := range pulls {
		o, err := p.opinion(ctx, pull)
		if err != nil {
			return guard.Finding{}, err
		}
		observed = append(observed, o.String())
		reasons = append(reasons, o.lacks(p.approvals))
		finding.Evidence = append(finding.Evidence, guard.Evidence{
			Asked: fmt.Sprintf("%s, reviews of #%d", p.repository.api.BaseURL.Host, pull.GetNumber()), Answer: o.String(),
		})
		if o.lacks(p.approvals) == "" {
			finding.Verdict, finding.Reason, finding.Remedy, finding.Observed = guard.Pass, "", "", o.String()
			return finding, nil
		}
	}
	if len(pulls) > 0 {
		finding.Observed, finding.Reason = strings.Join(observed, "; "), strings.Join(reasons, "; ")
		finding.Remedy = "have it approved, then check again"
	}
	return finding, nil
}

// pulls lists the pull requests with a commit, but those that were closed without being merged.
func (r *repository) pulls(ctx context.Context, sha string) ([]*github.PullRequest, error) {
	n := need{asked: "pull requests", permission: "Pull requests: read"}
	pulls, err := all(func(at place) ([]*github.PullRequest, *github.Response, error) {
		return r.api.PullRequests.ListPullRequestsWithCommit(ctx, r.owner, r.name, sha,
			&github.ListOptions{Page: at.page, PerPage: perPage})
	})
	for _, pull := range pulls {
		if err == nil && (pull.GetNumber() <= 0 || pull.GetState() == "" || pull.GetHead().GetSHA() == "") {
			err = fmt.Errorf("%w: it lists a pull request without number, state or head", errNonsense)
		}
	}
	if err != nil {
		return nil, r.explain(ctx, n, err)
	}
	return slices.DeleteFunc(pulls, func(pull *github.PullRequest) bool {
		return pull.GetState() != "open" && pull.MergedAt == nil
	}), nil
}

// An opinion is what the reviews of one pull request come to.
type opinion struct {
	number            int
	approved, against []string // logins
	discounted        []string // approvals that do not count, and why
}

func (o opinion) String() string {
	text := fmt.Sprintf("#%d: approved by %s", o.number, cmp.Or(some(o.approved), "nobody"))
	if len(o.against) > 0 {
		text += ", changes requested by " + some(o.against)
	}
	if len(o.discounted) > 0 {
		text += ", not counted: " + some(o.discounted)
	}
	return text
}

// lacks is why an opinion is not enough; empty: it is.
func (o opinion) lacks(approvals int) string {
	switch {
	case len(o.against) > 0:
		return fmt.Sprintf("#%d: changes are requested by %s", o.number, some(o.against))
	case len(o.approved) < approvals:
		reason := fmt.Sprintf("#%d has %d of %d approvals", o.number, len(o.approved), approvals)
		if len(o.discounted) > 0 {
			reason += " (not counted: " + some(o.discounted) + ")"
		}
		return reason
	}
	return ""
}

// decisive are the states of a review by which somebody decides. A comment takes nothing back.
var decisive = []string{"APPROVED", "CHANGES_REQUESTED", "DISMISSED"}

// opinion reads all reviews of a pull request.
func (p *Reviews) opinion(ctx context.Context, pull *github.PullRequest) (opinion, error) {
	reviews, err := p.reviews(ctx, pull)
	if err != nil {
		return opinion{}, err
	}
	last := make(map[int64]*github.PullRequestReview) // by person; those who have left GitHub are below 0, each alone
	var people []int64
	for _, review := range reviews {
		if !slices.Contains(decisive, review.GetState()) {
			continue
		}
		person := review.GetUser().GetID()
		if person == 0 {
			person = -int64(len(people)) - 1
		}
		if last[person] == nil {
			people = append(people, person)
		}
		last[person] = review
	}
	o := opinion{number: pull.GetNumber()}
	for _, person := range people {
		review, author := last[person], pull.GetUser().GetID()
		approves := review.GetState() == "APPROVED"
		login := cmp.Or(review.GetUser().GetLogin(), "somebody who has left GitHub")
		discount := func(why string) { o.discounted = append(o.discounted, fmt.Sprintf("%s (%s)", brief(login), why)) }
		switch alone := person < 0 || review.GetUser().GetType() == "Bot"; {
		case review.GetState() == "DISMISSED":
			continue
		case person == author:
			discount("the author")
			continue
		case alone && approves:
			discount("not a person whose permission can be asked for")
			continue
		case alone:
			o.against = append(o.against, brief(login))
			continue
		case approves && !p.stale && review.GetCommitID() != pull.GetHead().GetSHA():
			discount("of the older commit " + short(review.GetCommitID()))
			continue
		}
		writes, err := p.writes(ctx, login)
		switch {
		case err != nil:
			return opinion{}, err
		case !writes:
			discount("may not write to the repository")
		case approves:
			o.approved = append(o.approved, login)
		default:
			o.against = append(o.against, login)
		}
	}
	return o, nil
}

// reviews lists the reviews of a pull request, the oldest first.
func (p *Reviews) reviews(ctx context.Context, pull *github.PullRequest) ([]*github.PullRequestReview, error) {
	reviews, err := all(func(at place) ([]*github.PullRequestReview, *github.Response, error) {
		return p.repository.api.PullRequests.ListReviews(ctx, p.repository.owner, p.repository.name, pull.GetNumber(),
			&github.ListOptions{Page: at.page, PerPage: perPage})
	})
	for _, review := range reviews {
		if err == nil && review.GetState() == "" {
			err = fmt.Errorf("%w: it lists a review without a state", errNonsense)
		}
	}
	if err != nil {
		return nil, p.repository.explain(ctx, need{asked: fmt.Sprintf("reviews of #%d", pull.GetNumber()), permission: "Pull requests: read"}, err)
	}
	slices.SortStableFunc(reviews, func(a, b *github.PullRequestReview) int {
		return a.GetSubmittedAt().Compare(b.GetSubmittedAt().Time)
	})
	return reviews, nil
}

// writes asks whether somebody may write to the repository.
func (p *Reviews) writes(ctx context.Context, login string) (bool, error) {
	n := need{asked: fmt.Sprintf("permission of %q", login), permission: "Metadata: read"}
	level, _, err := p.repository.api.Repositories.GetPermissionLevel(ctx, p.repository.owner, p.repository.name, url.PathEscape(login))
	if err == nil && level.Permission == nil {
		err = errNonsense
	}
	if err != nil {
		return false, p.repository.explain(ctx, n, err)
	}
	return slices.Contains([]string{"admin", "write"}, level.GetPermission()), nil
}
