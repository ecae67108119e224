package guard

import (
	"fmt"
	"regexp"
	"slices"
	"strings"
)

// A Gate says how a deploy tool waits for the word of the checks, such as GitHub before a job deploys, and which
// repositories at GitHub speak for the service at all.
type Gate struct {
	MaxWait      Duration `json:"max_wait,omitempty"`      // how long what is not ready is waited for; default that of golive serve, which is also the most
	Repositories []string `json:"repositories,omitempty"`  // OWNER/NAME of those whose deployments and buttons at GitHub are heard; without any, none is
	Refs         []string `json:"refs,omitempty"`          // branches and tags whose jobs may deploy, also as how they begin with a * at the end: "release/*"; default all
	PullRequests bool     `json:"pull_requests,omitempty"` // jobs of pull requests may deploy, too
}

var (
	repositoryShape = regexp.MustCompile(`^[A-Za-z0-9_-]+/[A-Za-z0-9._-]+$`)
	refShape        = regexp.MustCompile(`^[^\s*]+\*?$`)
)

func (d *draft) gate(g Gate) {
	if d.plan.Writes("gate.max_wait") {
		span[Duration]{"gate.max_wait", g.MaxWait, second, 29 * day}.apply(d) // GitHub gives a job up after 30
	}
	seen := map[string]bool{}
	for i, name := range g.Repositories {
		path := fmt.Sprintf("gate.repositories[%d]", i)
		d.must(repositoryShape.MatchString(name), path, "%q is not a repository (write OWNER/NAME)", name)
		d.unique(seen, path, strings.ToLower(name), "name each repository once")
	}
	for i, ref := range g.Refs {
		d.must(refShape.MatchString(ref), fmt.Sprintf("gate.refs[%d]", i), "%q is not a branch or a tag (write main, or release/* for all that begin so)", ref)
	}
}

// Hears says why nothing is heard of a repository, OWNER/NAME; nil: the plan names it. Whoever may write in any
// repository chooses the name and the payload of its deployments, so the plan itself has to say who speaks for its service.
func (g Gate) Hears(repository string) error {
	if slices.ContainsFunc(g.Repositories, func(name string) bool { return strings.EqualFold(name, repository) }) { // as GitHub does
		return nil
	}
	return fmt.Errorf("the repository %q does not speak for this service (if it should, add it to the plan, gate: {repositories: [OWNER/NAME]})", Line(repository, 140))
}

// Admits says why a job may not deploy that an event of GitHub has begun ("push") on a branch or a tag ("main"); nil:
// it may. A ref may be written in full: "refs/heads/main".
func (g Gate) Admits(event, ref string) error {
	if strings.HasPrefix(event, "pull_request") && !g.PullRequests {
		return fmt.Errorf("the event %s has begun the job, and whoever makes a pull request chooses what it does (if that is meant, add to the plan gate: {pull_requests: true})", Line(event, 80))
	}
	name := strings.TrimPrefix(strings.TrimPrefix(ref, "refs/heads/"), "refs/tags/")
	fits := func(want string) bool {
		if beginning, open := strings.CutSuffix(want, "*"); open {
			return strings.HasPrefix(name, beginning)
		}
		return name == want
	}
	if len(g.Refs) > 0 && !slices.ContainsFunc(g.Refs, fits) {
		return fmt.Errorf("%q is none of the branches and tags that may deploy (gate.refs of the plan: %s)", Line(name, 140), strings.Join(g.Refs, ", "))
	}
	return nil
}
