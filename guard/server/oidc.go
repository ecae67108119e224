package server

import (
	"bytes"
	"context"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"regexp"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/coreos/go-oidc/v3/oidc"
	"go.yaml.in/yaml/v3"

	"github.com/golive-dev/golive/guard"
)

// An Issuer vouches for callers with ID tokens of OpenID Connect: a CI system for its jobs, a cluster for its service
// accounts, a company for its people. ParseIssuers makes them.
type Issuer struct {
	// URL is the issuer as its tokens name it, to the letter. Its discovery document lies below it.
	URL string `yaml:"url"`
	// Audience is whom its tokens must be for: golive, not some other program that could then use them here.
	Audience string `yaml:"audience"`
	// Grants say what its tokens may do. A token that fits several has the rights of all.
	Grants []Grant `yaml:"grants"`
	// ClientID lets people sign in on the page with this issuer; empty: they cannot. It is an audience, too.
	ClientID string `yaml:"client_id"`
	// ClientSecretEnv names the variable of the environment that holds the secret of the client; empty: there is none.
	ClientSecretEnv string `yaml:"client_secret_env"`
	// Title is what its button says; the host of the URL unless it is set.
	Title string `yaml:"title"`
	// Scopes are asked for beside openid, email and profile when people sign in.
	Scopes []string `yaml:"scopes"`

	secret string
	*discovery
}

// A Grant gives rights to tokens by what they claim.
type Grant struct {
	// Match holds claims and their values, all of which have to fit: exactly, or up to a * at the end. A claim that is a
	// list fits if one of its entries does.
	Match map[string]string `yaml:"match"`
	// Rights are given to tokens that fit.
	Rights []Right `yaml:"rights"`
	// Services are those for which the rights are given: SERVICE, SERVICE/ENVIRONMENT, or how that begins with a * at the
	// end; none: all. The right to view cannot be limited, for lists and counts are of all services.
	Services []string `yaml:"services"`
	// Name is the claim that names the caller in journals; empty: email, or sub where there is none. A token without
	// the claim does not fit.
	Name string `yaml:"name"`
}

// ErrIssuerAway says that an issuer could not be asked, so that it is not known whose a token is. Repeating is safe.
var ErrIssuerAway = errors.New("the issuer of this token gives no answer just now; try again")

// Bounds of what an issuer is asked for.
const (
	issuerWithin = 10 * time.Second
	issuerAgain  = 5 * time.Second // after it could not be asked
	clockSkew    = 30 * time.Second
)

// signatures are the algorithms that a token may be signed with: those whose keys an issuer can publish. The symmetric
// ones are not among them, for their key would be the published one.
var signatures = []string{oidc.RS256, oidc.RS384, oidc.RS512, oidc.ES256, oidc.ES384, oidc.ES512, oidc.PS256, oidc.PS384, oidc.PS512, oidc.EdDSA}

// discovery is what an issuer has said of itself, asked when the first of its tokens comes. Its keys are kept, and
// asked for again when a token is signed with one that is not known.
type discovery struct {
	mu       sync.Mutex
	provider *oidc.Provider
	keys     *keySet
	failed   time.Time
	problem  error
}

// Issuers are those that are trusted.
type Issuers []*Issuer

// yamlType is where the YAML library tells the name of a Go type.
var yamlType = regexp.MustCompile(`(field \w+) not found in type \S+`)

// ParseIssuers reads issuers from YAML; lookup finds variables of the environment. Its error names every mistake with
// its line.
func ParseIssuers(text []byte, lookup func(string) (string, bool)) (Issuers, error) {
	var file struct {
		Issuers Issuers `yaml:"issuers"`
	}
	decoder := yaml.NewDecoder(bytes.NewReader(text))
	decoder.KnownFields(true)
	switch err := decoder.Decode(&file); {
	case errors.Is(err, io.EOF):
		return nil, errors.New(`the file of issuers is empty: write "issuers:" and one or more with url, audience and grants`)
	case err != nil:
		return nil, fmt.Errorf("read the issuers: %s", yamlType.ReplaceAllString(strings.TrimPrefix(err.Error(), "yaml: "), "$1 is not known"))
	}
	if err := decoder.Decode(new(yaml.Node)); !errors.Is(err, io.EOF) {
		return nil, errors.New("read the issuers: the file goes on after its first document")
	}
	var tree yaml.Node
	if err := yaml.Unmarshal(text, &tree); err != nil {
		return nil, fmt.Errorf("read the issuers: %w", err)
	}
	var mistakes []error
	report := func(path []any, format string, args ...any) {
		mistakes = append(mistakes, fmt.Errorf("line %d of the issuers: %s", lineOf(&tree, path), fmt.Sprintf(format, args...)))
	}
	if len(file.Issuers) == 0 {
		report(nil, "there are none")
	}
	seen := map[string]bool{}
	for i, issuer := range file.Issuers {
		if issuer == nil {
			report([]any{"issuers", i}, "an issuer has url, audience and grants")
			continue
		}
		if seen[issuer.URL] {
			report([]any{"issuers", i, "url"}, "there is another one with this url; put all its grants together")
		}
		seen[issuer.URL] = true
		issuer.discovery = &discovery{}
		issuer.check(lookup, func(path []any, format string, args ...any) {
			report(append([]any{"issuers", i}, path...), format, args...)
		})
	}
	if len(mistakes) > 0 {
		return nil, errors.Join(mistakes...)
	}
	return file.Issuers, nil
}

// check reports what is wrong with an issuer, and completes it.
func (i *Issuer) check(lookup func(string) (string, bool), report func(path []any, format string, args ...any)) {
	at, err := url.Parse(i.URL)
	switch {
	case err != nil || at.Host == "":
		report([]any{"url"}, "url is the address of the issuer, such as https://token.actions.githubusercontent.com")
	case at.Scheme != "https" && !(at.Scheme == "http" && isLoopback(at.Hostname())):
		report([]any{"url"}, "url begins with https://: whoever can change what it answers is let in")
	case i.Title == "":
		i.Title = at.Host
	}
	if i.Audience == "" {
		report([]any{"audience"}, "audience is missing: say for whom tokens are made, or those for other programs count here")
	}
	if i.ClientSecretEnv != "" {
		secret, found := lookup(i.ClientSecretEnv)
		switch {
		case i.ClientID == "":
			report([]any{"client_secret_env"}, "client_secret_env goes with client_id")
		case !found || secret == "":
			report([]any{"client_secret_env"}, "the variable %s is not set", i.ClientSecretEnv)
		}
		i.secret = secret
	}
	if len(i.Grants) == 0 {
		report([]any{"grants"}, "grants are missing, so that nobody is let in")
	}
	for n, g := range i.Grants {
		if len(g.Match) == 0 {
			mend := fmt.Sprintf("if that is meant: match: {iss: %q}", i.URL)
			if i.URL == githubActions {
				mend = actionsMend
			}
			report([]any{"grants", n}, "match is missing, so that everybody whom the issuer knows is let in (%s)", mend)
		}
		for claim, want := range g.Match {
			if want == "" || want == "*" || strings.Contains(strings.TrimSuffix(want, "*"), "*") {
				report([]any{"grants", n, "match", claim}, "%s: write the value, or how it begins with a * at the end", claim)
			}
		}
		if i.URL == githubActions && len(g.Match) > 0 {
			g.checkActions(func(path []any, format string, args ...any) {
				report(append([]any{"grants", n}, path...), format, args...)
			})
		}
		if len(g.Rights) == 0 {
			report([]any{"grants", n}, "rights are missing: view, hook, operate, approve")
		}
		for k, r := range g.Rights {
			if !slices.Contains(Rights, r) {
				report([]any{"grants", n, "rights", k}, "%q is no right; there are view, hook, operate and approve", r)
			}
			if r == View && len(g.Services) > 0 {
				report([]any{"grants", n, "rights", k}, "view is for all services, whose lists have all of them: give it in a grant of its own, without services")
			}
		}
		for k, named := range g.Services {
			if strings.Trim(named, "*") == "" || strings.Contains(strings.TrimSuffix(named, "*"), "*") {
				report([]any{"grants", n, "services", k}, "%q: write SERVICE, SERVICE/ENVIRONMENT, or how that begins with a * at the end", named)
			}
		}
	}
}

// githubActions is the issuer of all jobs of GitHub Actions there are, of whatever repository.
const githubActions = "https://token.actions.githubusercontent.com"

const actionsMend = `write match: {repository_id: "123456"}, a number that nobody can take over as they can a name (gh api repos/OWNER/NAME --jq .id), or repository, repository_owner_id, repository_owner or sub`

// checkActions reports a grant that jobs of strangers fit: all of GitHub has the same issuer, and whoever makes a
// repository chooses its name, its branches and its environments.
func (g Grant) checkActions(report func(path []any, format string, args ...any)) {
	owned := false
	for claim, want := range g.Match {
		beginning, open := strings.CutSuffix(want, "*")
		switch claim {
		case "repository_id", "repository_owner_id", "repository_owner":
			if owned = true; open {
				report([]any{"match", claim}, "%s: write all of it, for numbers and names of strangers begin the same", claim)
			}
		case "repository", "sub":
			name := beginning
			if claim == "sub" { // repo:OWNER/NAME:..., or what the organisation has GitHub write instead
				kind, rest, _ := strings.Cut(beginning, ":")
				if !strings.HasPrefix(kind, "repo") {
					continue
				}
				name = rest
			}
			owned = true
			if open && (name == "" || !strings.HasSuffix(name, "/") && !strings.HasSuffix(name, ":")) {
				report([]any{"match", claim}, "%s: a * stands behind the / or the : of an owner or a repository, such as acme/*, for names of strangers begin the same", claim)
			}
		}
	}
	if !owned {
		report([]any{"match"}, "match fits jobs of every repository at GitHub: %s", actionsMend)
	}
}

// lineOf is the line of a value that is reached by keys and indexes, or of the last one on the way to it that there is.
func lineOf(n *yaml.Node, path []any) int {
	if n.Kind == yaml.DocumentNode && len(n.Content) > 0 {
		n = n.Content[0]
	}
	line := max(n.Line, 1)
	for _, step := range path {
		var next *yaml.Node
		switch step := step.(type) {
		case int:
			if n.Kind == yaml.SequenceNode && step < len(n.Content) {
				next = n.Content[step]
			}
		case string:
			for k := 0; n.Kind == yaml.MappingNode && k+1 < len(n.Content); k += 2 {
				if n.Content[k].Value == step {
					next = n.Content[k+1]
				}
			}
		}
		if next == nil {
			return line
		}
		n, line = next, next.Line
	}
	return line
}

// Identity says whose a token is, for Access. A token of another issuer, or of none, is ErrUnknownToken; one whose
// issuer cannot be asked is ErrIssuerAway. A caller whom no grant fits has no rights.
func (all Issuers) Identity(ctx context.Context, token string) (Caller, error) {
	issuer := all.named(issuerOf(token))
	if issuer == nil {
		return Caller{}, ErrUnknownToken
	}
	claims, err := issuer.verify(ctx, token, issuer.Audience, "")
	if err != nil {
		return Caller{}, err
	}
	return issuer.callerOf(claims), nil
}

// named is the issuer of this URL; nil: none is.
func (all Issuers) named(url string) *Issuer {
	for _, issuer := range all {
		if issuer.URL == url {
			return issuer
		}
	}
	return nil
}

// issuerOf is the issuer that a token names, which nothing has proved yet.
func issuerOf(token string) string {
	parts := strings.Split(token, ".")
	if len(parts) != 3 {
		return ""
	}
	payload, err := base64.RawURLEncoding.DecodeString(parts[1])
	if err != nil {
		return ""
	}
	var claims struct {
		Issuer string `json:"iss"`
	}
	if json.Unmarshal(payload, &claims) != nil {
		return ""
	}
	return claims.Issuer
}

// known asks the issuer what it is, once. After it gave no answer it is left alone for a moment.
func (i *Issuer) known(ctx context.Context) (*oidc.Provider, *keySet, error) {
	i.mu.Lock()
	defer i.mu.Unlock()
	if i.provider != nil {
		return i.provider, i.keys, nil
	}
	if i.problem != nil && time.Since(i.failed) < issuerAgain {
		return nil, nil, i.problem
	}
	// The next caller needs the answer as well, so that it is not given up when this one goes.
	asking, done := context.WithTimeout(context.WithoutCancel(ctx), issuerWithin)
	defer done()
	asking = oidc.ClientContext(asking, &http.Client{Timeout: issuerWithin})
	provider, err := oidc.NewProvider(asking, i.URL)
	var said struct {
		Keys string `json:"jwks_uri"`
	}
	if err == nil {
		err = provider.Claims(&said)
	}
	if err != nil {
		i.failed, i.problem = time.Now(), fmt.Errorf("%w (%s: %s)", ErrIssuerAway, i.URL, guard.Line(err.Error(), 200))
		return nil, nil, i.problem
	}
	i.provider, i.keys, i.problem = provider, &keySet{RemoteKeySet: oidc.NewRemoteKeySet(asking, said.Keys)}, nil
	return i.provider, i.keys, nil
}

// keySet tells keys that could not be fetched from a signature that is wrong. The library tells both as text.
type keySet struct{ *oidc.RemoteKeySet }

// wrongSignature is what the library says of a signature by no key of the issuer.
const wrongSignature = "failed to verify id token signature"

type fetchedKey struct{}

// VerifySignature implements oidc.KeySet.
func (k *keySet) VerifySignature(ctx context.Context, jwt string) ([]byte, error) {
	payload, err := k.RemoteKeySet.VerifySignature(ctx, jwt)
	if away, _ := ctx.Value(fetchedKey{}).(*error); err != nil && err.Error() != wrongSignature && away != nil {
		*away = err
	}
	return payload, err
}

// verify returns the claims of a token that the issuer has signed for an audience, that has not expired, and that
// answers a nonce if that is not empty.
func (i *Issuer) verify(ctx context.Context, token, audience, nonce string) (map[string]any, error) {
	_, keys, err := i.known(ctx)
	if err != nil {
		return nil, err
	}
	var away error
	verifier := oidc.NewVerifier(i.URL, keys, &oidc.Config{
		ClientID: audience, SupportedSigningAlgs: signatures, Now: func() time.Time { return time.Now().Add(-clockSkew) },
	})
	proved, err := verifier.Verify(context.WithValue(ctx, fetchedKey{}, &away), token)
	if away != nil {
		return nil, fmt.Errorf("%w (%s: %s)", ErrIssuerAway, i.URL, guard.Line(away.Error(), 200))
	}
	var expired *oidc.TokenExpiredError
	switch {
	case errors.As(err, &expired):
		return nil, fmt.Errorf("this token has expired at %s", expired.Expiry.UTC().Format(time.RFC3339))
	case err != nil:
		return nil, fmt.Errorf("this token does not hold: %s", guard.Line(strings.TrimPrefix(err.Error(), "oidc: "), 200))
	case nonce != "" && proved.Nonce != nonce:
		return nil, errors.New("this token answers another question: sign in again")
	}
	claims := map[string]any{}
	if err := proved.Claims(&claims); err != nil {
		return nil, fmt.Errorf("this token does not hold: %w", err)
	}
	if from, stated := claims["nbf"].(float64); stated && time.Unix(int64(from), 0).After(time.Now().Add(clockSkew)) {
		return nil, errors.New("this token does not hold yet: see whether the clocks are right")
	}
	return claims, nil
}

// callerOf is the caller that claims make.
func (i *Issuer) callerOf(claims map[string]any) Caller {
	var c Caller
	for _, g := range i.Grants {
		name, fits := g.fits(claims)
		if !fits {
			continue
		}
		if c.Name == "" {
			c.Name = name
		}
		for _, r := range g.Rights {
			c.give(r, g.Services)
		}
	}
	if c.Name == "" {
		subject, _ := claims["sub"].(string)
		c.Name = guard.Line(subject, longestName)
	}
	return c
}

// asked are the claims that grants ask for, of lists the entries that fit one of them: a person may be in more groups than
// a cookie holds.
func (i *Issuer) asked(claims map[string]any) map[string]any {
	asked := map[string]any{}
	for _, claim := range []string{"sub", "email", "email_verified"} {
		if value, found := claims[claim]; found {
			asked[claim] = value
		}
	}
	for _, g := range i.Grants {
		if value, found := claims[g.Name]; found {
			asked[g.Name] = value
		}
		for claim, want := range g.Match {
			list, is := claims[claim].([]any)
			if value, found := claims[claim]; found && !is {
				asked[claim] = value
			}
			kept, _ := asked[claim].([]any)
			for _, one := range list {
				if matches([]any{one}, want) && !slices.Contains(kept, one) {
					kept = append(kept, one)
				}
			}
			if is {
				asked[claim] = kept
			}
		}
	}
	return asked
}

// longestName is as much of a name as stands in journals.
const longestName = 200

// fits says whether a token gets what the grant gives, and the name of its caller.
func (g Grant) fits(claims map[string]any) (name string, fits bool) {
	for claim, want := range g.Match {
		if !matches(usable(claims, claim), want) {
			return "", false
		}
	}
	from := []string{g.Name}
	if g.Name == "" {
		from = []string{"email", "sub"}
	}
	for _, claim := range from {
		if text, ok := usable(claims, claim).(string); ok && text != "" {
			return guard.Line(text, longestName), true
		}
	}
	return "", false
}

// usable is a claim that can be relied on. An address of mail that the issuer has not verified is whatever somebody
// has typed there.
func usable(claims map[string]any, claim string) any {
	if verified, stated := claims["email_verified"]; claim == "email" && stated && verified != true && verified != "true" {
		return nil
	}
	return claims[claim]
}

// matches says whether the value of a claim is as wanted.
func matches(value any, want string) bool {
	switch value := value.(type) {
	case []any:
		return slices.ContainsFunc(value, func(one any) bool {
			_, list := one.([]any)
			return !list && matches(one, want)
		})
	case string:
		if beginning, open := strings.CutSuffix(want, "*"); open {
			return strings.HasPrefix(value, beginning)
		}
		return value == want
	case bool:
		return fmt.Sprint(value) == want
	case float64:
		text, err := json.Marshal(value)
		return err == nil && string(text) == want
	}
	return false
}
