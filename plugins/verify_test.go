//go:build unix

package plugins_test

import (
	"crypto/sha256"
	"fmt"
	"os"
	"slices"
	"testing"

	"github.com/golive-dev/golive/guard"
	"github.com/golive-dev/golive/plugins"
	"github.com/golive-dev/golive/plugins/plugintest"
)

// TestVerify asks plugins that are fine, and such as are not, each in its own way.
func TestVerify(t *testing.T) {
	for name, wrong := range map[string]map[string]guard.Verdict{ // which questions have another answer than Pass
		"good":    {},
		"nothing": {"describes": guard.Fail},
		"terse":   {"documented": guard.Warn},
		"thief":   {"names": guard.Fail},
		"clings":  {"known": guard.Warn, "orphaned": guard.Fail},
		"slow":    {"quick": guard.Warn},
		"chatty":  {"silent": guard.Fail},
		"dies":    {"handshake": guard.Fail},
		"garbage": {"handshake": guard.Fail},
	} {
		t.Run(name, func(t *testing.T) {
			var path string
			switch name {
			case "slow":
				plugintest.Install(t, "good")
				path = script(t, name, "sleep 0.6; exec golive-plugin-good")
			case "chatty":
				plugintest.Install(t, "good")
				path = script(t, name, `golive-plugin-good | while read -r line; do echo "$line"; echo and more; done`)
			default:
				path = plugintest.Install(t, name)
			}
			text, err := os.ReadFile(path)
			if err != nil {
				t.Fatal(err)
			}
			digest := fmt.Sprintf("%x", sha256.Sum256(text))
			about, findings := plugins.Verify(t.Context(), name, plugins.Options{SHA256: digest})
			if about.Path != path || about.Bytes != int64(len(text)) || about.SHA256 != digest {
				t.Errorf("about %+v, want the program %s of %d bytes with the SHA-256 %s", about, path, len(text), digest)
			}
			if _, fails := wrong["handshake"]; !fails && (about.Protocol != 1 || len(findings) != 11) {
				t.Errorf("about %+v with %d findings, want version 1 and 11", about, len(findings))
			}
			stopped := false
			for _, f := range findings {
				id := f.ID[len("plugin."):]
				want, known := wrong[id]
				if !known {
					want = guard.Pass
				}
				if slow := id == "quick" && f.Verdict == guard.Warn; slow {
					continue // on a busy machine every start is
				}
				if stopped {
					want = guard.Unknown
				}
				if f.Verdict != want {
					t.Errorf("%s: %v, %s, want %v", f.ID, f.Verdict, f.Reason, want)
				}
				if f.Verdict != guard.Pass && (f.Reason == "" || f.Remedy == "") {
					t.Errorf("%s: %v without a reason and a remedy: %+v", f.ID, f.Verdict, f)
				}
				stopped = stopped || id == "handshake" && want == guard.Fail
			}
		})
	}
}

// TestVerifyWithoutPin wants a pin, and says which.
func TestVerifyWithoutPin(t *testing.T) {
	plugintest.Install(t, "good")
	about, findings := plugins.Verify(t.Context(), "good", plugins.Options{})
	i := slices.IndexFunc(findings, func(f guard.Finding) bool { return f.Verdict != guard.Pass && f.ID != "plugin.quick" })
	if i < 0 || findings[i].Remedy != "write in the plan: plugins: [{name: good, sha256: "+about.SHA256+"}]" {
		t.Errorf("findings %+v", findings)
	}
	_, findings = plugins.Verify(t.Context(), "good", plugins.Options{SHA256: fmt.Sprintf("%064d", 0)})
	if findings[1].Verdict != guard.Fail || findings[2].Verdict != guard.Unknown {
		t.Errorf("another program than the plan means: %+v", findings)
	}
}
