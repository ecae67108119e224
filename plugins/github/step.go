package github

import (
	"bytes"
	"cmp"
	"compress/gzip"
	"context"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"regexp"
	"strconv"
	"strings"
	"time"

	"github.com/google/go-github/v60/github"

	"github.com/golive-dev/golive/guard"
)

// A Step is one of a workflow, as GitHub describes it to what runs there.
type Step struct {
	Repository string // OWNER/NAME: GITHUB_REPOSITORY
	Token      string // which a workflow hands to a step as ${{ github.token }}
	Address    string // of the API: GITHUB_API_URL; empty: https://api.github.com
	Ref        string // in full, refs/heads/main or refs/pull/7/merge: GITHUB_REF
	Commit     string // GITHUB_SHA
	Event      []byte // what has begun the workflow, as JSON: the file GITHUB_EVENT_PATH; empty: not known

	Wait  time.Duration // how long GitHub may take to read a report; less than 30 seconds are 30 seconds
	Every time.Duration // how often it is asked meanwhile; 0: every 2 seconds
}

// open makes the way to the repository, once all is said that it takes.
func (s Step) open() (*repository, error) {
	var mistakes []error
	if !strings.HasPrefix(s.Ref, "refs/") {
		mistakes = append(mistakes, errors.New("ref: must be in full, such as refs/heads/main"))
	}
	if !commitID.MatchString(s.Commit) {
		mistakes = append(mistakes, errors.New("commit: must be the ID of a commit, in full"))
	}
	set := defaults()
	set.Repository, set.Token, set.Address = s.Repository, s.Token, cmp.Or(s.Address, set.Address)
	set.Timeout = guard.Duration(max(callWithin, s.Wait))
	r, err := set.open(nil)
	if err := errors.Join(append(mistakes, err)...); err != nil {
		return nil, err
	}
	return r, nil
}

// sarifMost is how many bytes of a compressed report GitHub takes.
const sarifMost = 10 << 20

// Upload hands a report in SARIF to code scanning, and waits until GitHub has read it. An error says that it has not, or not
// within Step.Wait. It may be repeated; the newest report of a tool on a commit counts.
func (s Step) Upload(ctx context.Context, report []byte) error {
	r, err := s.open()
	if err != nil {
		return err
	}
	if !json.Valid(report) {
		return errors.New("the report is no JSON, and so no SARIF (golive check -o sarif=golive.sarif writes one)")
	}
	var packed bytes.Buffer
	w := gzip.NewWriter(&packed)
	if _, err := w.Write(report); err != nil {
		return err
	}
	if err := w.Close(); err != nil {
		return err
	}
	if packed.Len() > sarifMost {
		return fmt.Errorf("the report has %d bytes when it is compressed, and GitHub takes %d", packed.Len(), sarifMost)
	}
	ctx, cancel := context.WithTimeoutCause(ctx, r.timeout, fmt.Errorf("GitHub has not read it within %v (look at Security, Code scanning)", r.timeout))
	defer cancel()
	n := need{
		asked: "code scanning", permission: "security-events: write", enable: "switch code scanning on in the settings of the repository",
		missing: "see that ref and commit belong together, and are in the repository",
	}
	id, _, err := r.api.CodeScanning.UploadSarif(ctx, r.owner, r.name, &github.SarifAnalysis{
		CommitSHA: &s.Commit, Ref: &s.Ref, Sarif: github.String(base64.StdEncoding.EncodeToString(packed.Bytes())),
	}) // which takes the answer 202 for what it is
	if err == nil && !sarifID.MatchString(id.GetID()) {
		err = fmt.Errorf("%w: the report has got no number", errNonsense)
	}
	if err != nil {
		return r.explain(ctx, n, err)
	}
	for {
		done, err := r.read(ctx, id.GetID())
		if err != nil {
			return r.explain(ctx, n, err)
		}
		if done {
			return nil
		}
		timer := time.NewTimer(cmp.Or(s.Every, 2*time.Second))
		select {
		case <-timer.C:
		case <-ctx.Done():
			timer.Stop()
			return r.explain(ctx, n, context.Cause(ctx))
		}
	}
}

var sarifID = regexp.MustCompile(`^[A-Za-z0-9-]{1,64}$`)

// read says whether GitHub has read a report. A report that was only just taken may not be found yet.
func (r *repository) read(ctx context.Context, id string) (done bool, err error) {
	request, err := r.api.NewRequest(http.MethodGet, fmt.Sprintf("repos/%s/%s/code-scanning/sarifs/%s", r.owner, r.name, id), nil)
	if err != nil {
		return false, err
	}
	var now struct {
		Status string   `json:"processing_status"`
		Errors []string `json:"errors"` // which go-github does not read
	}
	_, err = r.api.Do(ctx, request, &now)
	var refused *github.ErrorResponse
	switch {
	case errors.As(err, &refused) && refused.Response.StatusCode == http.StatusNotFound:
		return false, nil
	case err != nil:
		return false, err
	case now.Status == "complete":
		return true, nil
	case now.Status == "failed":
		return false, fmt.Errorf("GitHub cannot read the report: %s", cmp.Or(brief(r.proofs.hide(strings.Join(now.Errors, "; "))), "it does not say why"))
	case now.Status == "pending":
		return false, nil
	}
	return false, fmt.Errorf("%w: the state of the report is %.40q", errNonsense, now.Status)
}

// commentMostBytes is how much of a text is put into a comment: GitHub takes 65,536 characters.
const commentMostBytes = 60_000

var pullRef = regexp.MustCompile(`^refs/pull/([1-9][0-9]{0,8})/`)

// about is the pull request that the workflow runs for, or 0 and the commit by which it is found. The event comes first: for
// pull_request_target, for a comment, and for the end of another workflow, ref and commit of the step are those of the base,
// which belong to pull requests that were merged.
func (s Step) about() (pull int, commit string, err error) {
	type numbered struct {
		Number int `json:"number"`
	}
	var event struct {
		PullRequest numbered `json:"pull_request"`
		Issue       struct {
			numbered
			PullRequest *struct{} `json:"pull_request"`
		} `json:"issue"`
		WorkflowRun struct {
			Head string `json:"head_sha"`
		} `json:"workflow_run"`
	}
	if len(s.Event) > 0 {
		if err := json.Unmarshal(s.Event, &event); err != nil {
			return 0, "", fmt.Errorf("event: is no JSON as GitHub writes it (GITHUB_EVENT_PATH): %w", err)
		}
	}
	head := event.WorkflowRun.Head
	switch found := pullRef.FindStringSubmatch(s.Ref); {
	case event.PullRequest.Number > 0:
		return event.PullRequest.Number, "", nil
	case event.Issue.Number > 0 && event.Issue.PullRequest != nil:
		return event.Issue.Number, "", nil
	case head != "" && !commitID.MatchString(head):
		return 0, "", errors.New("event: head_sha of workflow_run is not the ID of a commit")
	case found != nil:
		pull, err = strconv.Atoi(found[1])
		return pull, "", err
	}
	return 0, cmp.Or(head, s.Commit), nil
}

// Comment keeps one comment of a name up to date on the pull request that the step is about, or on those with its commit, and
// says which these are. It is edited where it stands, so that a repeat is safe; a text that is too long is cut between lines.
func (s Step) Comment(ctx context.Context, name, text string) (numbers []int, err error) {
	r, err := s.open()
	if err != nil {
		return nil, err
	}
	ctx, cancel := r.bound(ctx)
	defer cancel()
	number, commit, err := s.about()
	switch {
	case err != nil:
		return nil, err
	case number != 0:
		numbers = []int{number}
	default:
		pulls, err := r.pulls(ctx, commit)
		if err != nil {
			return nil, err
		}
		for _, pull := range pulls[:min(len(pulls), pullsMost)] {
			numbers = append(numbers, pull.GetNumber())
		}
	}
	if len(numbers) == 0 {
		return nil, nil
	}
	writer, err := r.writer(ctx)
	if err != nil {
		return nil, err
	}
	m := mark{what: markOf("step", name), at: time.Now()}
	for _, number := range numbers {
		if _, err := r.stick(ctx, number, writer, m, cutLines(text, commentMostBytes)); err != nil {
			return nil, err
		}
	}
	return numbers, nil
}

// cutLines keeps as many whole lines of a text as there is room for.
func cutLines(text string, most int) string {
	if len(text) <= most {
		return text
	}
	const gone = "\n\n(the rest is too long for a comment)\n"
	text = text[:most-len(gone)]
	return text[:max(strings.LastIndexByte(text, '\n'), 0)] + gone
}
