package guard

import "testing"

func TestGateHears(t *testing.T) {
	g := Gate{Repositories: []string{"acme/shop", "acme/Web"}}
	for repository, heard := range map[string]bool{"acme/shop": true, "ACME/shop": true, "acme/web": true, "evil/shop": false, "acme/shop-fork": false, "shop": false, "": false} {
		if err := g.Hears(repository); (err == nil) != heard {
			t.Errorf("%q: %v", repository, err)
		}
	}
	if (Gate{}).Hears("acme/shop") == nil || (Gate{}).Hears("") == nil {
		t.Error("a plan that names none is spoken for")
	}
}

func TestGateAdmits(t *testing.T) {
	for name, c := range map[string]struct {
		gate       Gate
		event, ref string
		admitted   bool
	}{
		"a push":                  {Gate{}, "push", "main", true},
		"no event":                {Gate{}, "", "main", true},
		"a pull request":          {Gate{}, "pull_request", "main", false},
		"one with rights":         {Gate{}, "pull_request_target", "main", false},
		"a review of one":         {Gate{}, "pull_request_review", "main", false},
		"one that is meant":       {Gate{PullRequests: true}, "pull_request", "main", true},
		"the branch":              {Gate{Refs: []string{"main"}}, "push", "main", true},
		"in full":                 {Gate{Refs: []string{"main"}}, "push", "refs/heads/main", true},
		"a tag":                   {Gate{Refs: []string{"v*"}}, "push", "refs/tags/v1", true},
		"of several":              {Gate{Refs: []string{"main", "release/*"}}, "push", "release/7", true},
		"another":                 {Gate{Refs: []string{"main", "release/*"}}, "push", "topic", false},
		"one that begins alike":   {Gate{Refs: []string{"main"}}, "push", "main2", false},
		"none":                    {Gate{Refs: []string{"main"}}, "push", "", false},
		"a pull request to a ref": {Gate{Refs: []string{"main"}}, "pull_request_target", "main", false},
	} {
		if err := c.gate.Admits(c.event, c.ref); (err == nil) != c.admitted {
			t.Errorf("%s: %v", name, err)
		}
	}
}
