package github

import (
	"bytes"
	"encoding/json"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/santhosh-tekuri/jsonschema/v6"

	"github.com/golive-dev/golive/guard"
	"github.com/golive-dev/golive/plugins/plugintest"
)

// published are the schemas of GitHub's messages, by the fixtures in testdata that imitate such messages.
var published = map[string]string{
	"deployment_protection_rule.json": "deployment_protection_rule$requested",
	"check_run.json":                  "check_run$requested_action",
	"deployment.json":                 "deployment$created",
	"deployment_status.json":          "deployment_status$created",
}

// TestFixtures holds the messages that the tests send to the schemas that are published of GitHub's, so that no hook works
// for our idea of a message alone.
func TestFixtures(t *testing.T) {
	path := plugintest.NeedsModule(t, "@octokit/webhooks-schemas", "npm install --global @octokit/webhooks-schemas@7.6.1")
	find := exec.Command("node", "-e", `process.stdout.write(require.resolve("@octokit/webhooks-schemas"))`)
	find.Env = append(os.Environ(), path)
	file, err := find.Output()
	if err != nil {
		t.Fatal(err)
	}
	text, err := os.ReadFile(string(file))
	if err != nil {
		t.Fatal(err)
	}
	whole, err := jsonschema.UnmarshalJSON(bytes.NewReader(text))
	if err != nil {
		t.Fatal(err)
	}
	compiler := jsonschema.NewCompiler()
	// The library knows the simplest templates alone, and not {/ref}, which GitHub has in every repository.
	compiler.RegisterFormat(&jsonschema.Format{Name: "uri-template", Validate: func(any) error { return nil }})
	if err := compiler.AddResource("github.json", whole); err != nil {
		t.Fatal(err)
	}
	names, err := filepath.Glob("testdata/*.json")
	if err != nil || len(names) != len(published) {
		t.Fatalf("%d fixtures, and %d schemas (%v)", len(names), len(published), err)
	}
	for _, name := range names {
		schema, err := compiler.Compile("github.json#/definitions/" + published[filepath.Base(name)])
		if err != nil {
			t.Fatal(err)
		}
		text, err := os.ReadFile(name)
		if err != nil {
			t.Fatal(err)
		}
		value, err := jsonschema.UnmarshalJSON(bytes.NewReader(text))
		if err != nil {
			t.Fatal(err)
		}
		if err := schema.Validate(value); err != nil {
			t.Errorf("%s: %v", name, err)
		}
		value.(map[string]any)["nothing_of_github"] = true
		if schema.Validate(value) == nil {
			t.Errorf("%s: the schema takes everything", name)
		}
	}
}

// TestFixturesAreHeard sends the fixtures of deployments as they are: what a hook reads of a message is what GitHub calls it.
func TestFixturesAreHeard(t *testing.T) {
	d := plugintest.NewDesk(t, shopPlan)
	for _, c := range []struct{ event, want string }{
		{"deployment", `{"did":"nothing: no rollout of it is under way"}`},
		{"deployment_status", `{"did":"watching","rollout":"shop-1"}`},
	} {
		text, err := os.ReadFile("testdata/" + c.event + ".json")
		if err != nil {
			t.Fatal(err)
		}
		if w, _ := signedMessage(c.event, string(text)).send(t, d, secret); w.Code != 200 || strings.TrimSpace(w.Body.String()) != c.want {
			t.Errorf("%s: %d %s, want %s", c.event, w.Code, w.Body, c.want)
		}
	}
	want := guard.Release{ID: "shop-1", Service: "shop", Environment: "production", To: "00000000000000000000000000000000c0ffee02"}
	if got := d.Rollouts(); len(got) != 1 || got[0] != want {
		t.Errorf("opened %+v, want %+v", got, want)
	}
}

// TestOwnWords: what golive says of a deployment itself is no news, or the end of a watch would begin the next.
func TestOwnWords(t *testing.T) {
	d := plugintest.NewDesk(t, shopPlan)
	text, err := os.ReadFile("testdata/deployment_status.json")
	if err != nil {
		t.Fatal(err)
	}
	signedMessage("deployment_status", string(text)).send(t, d, secret) // so that golive has to do with it
	body := strings.Replace(string(text), `"job 7"`, `"`+ownWords+`live"`, 1)
	if !json.Valid([]byte(body)) || body == string(text) {
		t.Fatal("the fixture has another description")
	}
	if w, _ := signedMessage("deployment_status", body).send(t, d, secret); w.Code != 200 || !strings.Contains(w.Body.String(), "golive has said so itself") || len(d.Deliveries()) != 1 {
		t.Errorf("%d %s, and %d rollouts", w.Code, w.Body, len(d.Rollouts()))
	}
}
