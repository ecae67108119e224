package github

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/bradleyfalzon/ghinstallation/v2"
	"github.com/google/go-github/v60/github"
)

// App is how a GitHub App proves who it is. A token of a person may do all that the person may, in every repository and
// until somebody takes it back; those that golive makes as an app are for one repository, for what is needed there, and
// for an hour.
type App struct {
	ID  int64
	Key string // PEM, as GitHub gives it out; a line break may be written as \n
	// Installation is its number in the account that the repository belongs to; 0: GitHub is asked.
	Installation int64
}

// check says what is missing, each by the key under which a plan has it. No error quotes the key.
func (a App) check() error {
	var mistakes []error
	if a.ID <= 0 {
		mistakes = append(mistakes, errors.New("app_id: missing (the number on the settings page of the app)"))
	}
	if a.Installation < 0 {
		mistakes = append(mistakes, errors.New("installation_id: must be a number of GitHub (or leave it out, and GitHub is asked)"))
	}
	if a.Key == "" {
		mistakes = append(mistakes, errors.New("private_key: missing (write ${GITHUB_APP_KEY}, and set that in the environment)"))
	} else if _, err := a.sign(http.DefaultTransport); err != nil {
		mistakes = append(mistakes, err)
	}
	return errors.Join(mistakes...)
}

// sign makes what signs as the app itself. What the library says of a key that it cannot read stays here, for it may
// quote it.
func (a App) sign(next http.RoundTripper) (*ghinstallation.AppsTransport, error) {
	signs, err := ghinstallation.NewAppsTransport(next, a.ID, []byte(strings.ReplaceAll(a.Key, `\n`, "\n")))
	if err != nil {
		return nil, errors.New("private_key: is not an RSA key in PEM, from -----BEGIN to -----END (give the file that GitHub made)")
	}
	return signs, nil
}

// client speaks as the app itself to an API.
func (a App) client(address string) (*github.Client, error) {
	set := defaults()
	made, err := set.Client()
	if err != nil {
		return nil, err
	}
	signs, err := a.sign(patient{bounded{made.Transport}})
	if err != nil {
		return nil, err
	}
	own := *made // all who are set up alike share what was made
	own.Transport = signs
	return enterprise(&own, address)
}

// Lacks asks GitHub what the app may do and hears, and says what of it the gate cannot do without; nothing: it has all. The
// address is that of the API; empty: https://api.github.com. An error says that this could not be found out. It changes
// nothing, and may be repeated. Whether the rule is switched on in an environment it does not say.
func (a App) Lacks(ctx context.Context, address string) (lacks []string, err error) {
	address = cmp.Or(address, defaults().Address)
	if err := errors.Join(a.check(), checkAddress(address)); err != nil {
		return nil, err
	}
	api, err := a.client(address)
	if err != nil {
		return nil, err
	}
	ctx, cancel := context.WithTimeoutCause(ctx, callWithin, fmt.Errorf("no answer within %v", callWithin))
	defer cancel()
	app, _, err := api.Apps.Get(ctx, "")
	switch {
	case err != nil:
		return nil, explained(ctx, api, "what the app may do", err)
	case app.Permissions == nil:
		return nil, fmt.Errorf("%w: the app has no permissions, and not even none", errNonsense)
	}
	if level := app.Permissions.GetActions(); level != "read" && level != "write" {
		lacks = append(lacks, "the permission Actions: read")
	}
	if app.Permissions.GetDeployments() != "write" {
		lacks = append(lacks, "the permission Deployments: read and write")
	}
	if !slices.Contains(app.Events, "deployment_protection_rule") {
		lacks = append(lacks, "the event Deployment protection rule")
	}
	return lacks, nil
}

// An installed is the way of an app to one repository. It finds its installation, and makes a token, when it is first
// asked: a plan is read also where GitHub cannot be reached.
type installed struct {
	app         App
	base        string // of the API, without a slash in the end
	owner, name string
	permissions *github.InstallationPermissions
	next        *noting

	mu  sync.Mutex
	way *ghinstallation.Transport // nil: not made yet
}

// installed makes the way to a repository. Each way has a token of its own, and nothing but the network with others.
func (a App) installed(base, owner, name string, permissions *github.InstallationPermissions, next *noting) *installed {
	return &installed{app: a, base: strings.TrimSuffix(base, "/"), owner: owner, name: name, permissions: permissions, next: next}
}

// RoundTrip sends a request with a token of the installation. That there is no token is told in the errors of go-github,
// as if the request itself had been refused: it says the same about limits and permissions.
func (i *installed) RoundTrip(r *http.Request) (*http.Response, error) {
	way, err := i.open(r.Context())
	if err != nil {
		closeBody(r)
		return nil, err
	}
	response, err := way.RoundTrip(r)
	if err != nil {
		return nil, unwrapped(err)
	}
	return response, nil
}

func closeBody(r *http.Request) {
	if r.Body != nil {
		_ = r.Body.Close() // nobody has read it
	}
}

// unwrapped is the refusal behind an error of ghinstallation, which keeps the answer and has read nothing of it.
func unwrapped(err error) error {
	var refused *ghinstallation.HTTPError
	if !errors.As(err, &refused) || refused.Response == nil {
		return err
	}
	defer refused.Response.Body.Close()
	if said := github.CheckResponse(refused.Response); said != nil {
		return &tokenError{said}
	}
	return err
}

// A tokenError says that the app got no token. It is told as what it is, and not as a refusal of what was asked for.
type tokenError struct{ error }

func (e *tokenError) Unwrap() error { return e.error }

// open finds the installation once. Whoever asks meanwhile waits.
func (i *installed) open(ctx context.Context) (*ghinstallation.Transport, error) {
	i.mu.Lock()
	defer i.mu.Unlock()
	if i.way != nil {
		return i.way, nil
	}
	signs, err := i.app.sign(i.next)
	if err != nil {
		return nil, err
	}
	id := i.app.Installation
	if id == 0 {
		if id, err = i.find(ctx, signs); err != nil {
			return nil, err
		}
	}
	signs.BaseURL = i.base
	i.way = ghinstallation.NewFromAppsTransport(signs, id)
	i.way.InstallationTokenOptions = &github.InstallationTokenOptions{Repositories: []string{i.name}, Permissions: i.permissions}
	return i.way, nil
}

func (i *installed) find(ctx context.Context, signs http.RoundTripper) (int64, error) {
	api, err := enterprise(&http.Client{Transport: signs}, i.base)
	if err != nil {
		return 0, err
	}
	found, _, err := api.Apps.FindRepositoryInstallation(ctx, i.owner, i.name)
	switch {
	case err != nil:
		return 0, &tokenError{err}
	case found.GetID() <= 0:
		return 0, fmt.Errorf("%w: the installation of the app has no number", errNonsense)
	}
	return found.GetID(), nil
}

// enterprise makes a client of an API that may be of an enterprise's own server. The client remembers limits: whoever
// must not be kept back by what others have used up has one of its own.
func enterprise(c *http.Client, address string) (*github.Client, error) {
	api, err := github.NewClient(c).WithEnterpriseURLs(address, address)
	if err != nil {
		return nil, errors.New("address: cannot be read")
	}
	api.UserAgent = "golive"
	return api, nil
}

// noting remembers what a request proved itself with, so that no text that comes back shows it.
type noting struct {
	next http.RoundTripper

	mu   sync.Mutex
	seen []string
}

// proofs is how many are remembered: the last tokens of the installation, and the signatures that they were made with.
const proofs = 8

func (n *noting) RoundTrip(r *http.Request) (*http.Response, error) {
	if _, proof, _ := strings.Cut(r.Header.Get("Authorization"), " "); proof != "" {
		n.mu.Lock()
		if len(n.seen) == 0 || n.seen[len(n.seen)-1] != proof {
			n.seen = append(n.seen[max(0, len(n.seen)-proofs):], proof)
		}
		n.mu.Unlock()
	}
	return n.next.RoundTrip(r)
}

// hide takes all that was seen out of a text.
func (n *noting) hide(text string) string {
	n.mu.Lock()
	defer n.mu.Unlock()
	for _, proof := range n.seen {
		text = strings.ReplaceAll(text, proof, "***")
	}
	return text
}

// patient waits where GitHub wants fewer requests and says until when, if whoever asks has the time; who has no deadline
// is told at once. A request that GitHub has not taken may be sent again, whatever it asks for.
type patient struct{ next http.RoundTripper }

func (p patient) RoundTrip(r *http.Request) (*http.Response, error) {
	for tries := 1; ; tries++ {
		response, err := p.next.RoundTrip(r)
		if err != nil {
			return nil, err
		}
		wait, limited := limitOf(response)
		deadline, bounded := r.Context().Deadline()
		if !limited || !bounded || tries == triesMost || time.Until(deadline) <= wait || r.Body != nil && r.GetBody == nil {
			return response, nil
		}
		_, _ = io.Copy(io.Discard, io.LimitReader(response.Body, 1<<20)) // so that the connection can be used again
		_ = response.Body.Close()
		timer := time.NewTimer(wait)
		select {
		case <-timer.C:
		case <-r.Context().Done():
			timer.Stop()
			return nil, context.Cause(r.Context())
		}
		again := r.Clone(r.Context())
		if r.GetBody != nil {
			if again.Body, err = r.GetBody(); err != nil {
				return nil, err
			}
		}
		r = again
	}
}

// triesMost is how often a request is sent: GitHub shuts out who does not heed its limits.
const triesMost = 5

// unsaid is how long GitHub wants to be left alone where it does not say, by its documentation.
const unsaid = time.Minute

// limitOf says whether an answer is one of the three by which GitHub wants fewer requests (a quota that is used up, a
// second limit for whoever asks too fast, and status 429 for either), and how long it wants to be left alone.
func limitOf(response *http.Response) (wait time.Duration, limited bool) {
	said := retryAfter(response.Header)
	switch {
	case response.StatusCode == http.StatusTooManyRequests:
	case response.StatusCode == http.StatusForbidden && said != nil:
	default:
		return 0, false
	}
	switch {
	case said == nil:
		return unsaid, true
	case *said < -unsaid: // no clock is so wrong, and whoever waited for that would ask again and again
		return 0, false
	}
	return max(*said, time.Second), true // the clocks may differ, and the time that was told may be over here
}

// A LimitError says that GitHub wants fewer requests, and until when. All of its kinds become one, so that whoever asks
// for something that can wait knows how long.
type LimitError struct {
	Until time.Time
	text  string
}

func (e *LimitError) Error() string { return e.text }
