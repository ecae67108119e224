package disk

import (
	"math"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"testing"

	"github.com/golive-dev/golive/guard"
	"github.com/golive-dev/golive/plugins"
	"github.com/golive-dev/golive/plugins/plugintest"
)

var kit = plugins.Kit{
	Name:   "disk",
	Probes: map[string]func(guard.With) (guard.Probe, error){"disk": NewProbe},
}

func TestMain(m *testing.M) { plugintest.Main(m, kit) }

var release = guard.Release{ID: "r7", Service: "shop", Environment: "test", From: "v1", To: "v2"}

func probe(t *testing.T, with guard.With) *Probe {
	t.Helper()
	p, err := NewProbe(with)
	if err != nil {
		t.Fatal(err)
	}
	return p.(*Probe)
}

// TestMeasure compares with df. Others may write in between, so it is content with a measure between two of df.
func TestMeasure(t *testing.T) {
	dir := t.TempDir()
	df := func() (used, free string) {
		output, err := exec.Command("df", "-P", "-B1000000", dir).Output()
		if err != nil {
			t.Skipf("no df that knows blocks of a million bytes: %v", err)
		}
		lines := strings.Split(strings.TrimSpace(string(output)), "\n")
		fields := strings.Fields(lines[len(lines)-1])
		return fields[2], fields[3]
	}
	million := func(s Size) string { return strconv.FormatUint(uint64(s+999_999)/1_000_000, 10) }
	for range 20 {
		usedBefore, freeBefore := df()
		r, err := measure(dir)
		if err != nil {
			t.Fatal(err)
		}
		used, free := df()
		if used != usedBefore || free != freeBefore {
			continue
		}
		if million(r.used) != used || million(r.free) != free {
			t.Errorf("%s and %s million bytes are used and free, and df says %s and %s", million(r.used), million(r.free), used, free)
		}
		return
	}
	t.Log("others write too much here for a comparison with df")
}

func TestProbe(t *testing.T) {
	dir := t.TempDir()
	file := filepath.Join(dir, "file")
	if err := os.WriteFile(file, []byte("x"), 0o600); err != nil {
		t.Fatal(err)
	}
	for name, c := range map[string]struct {
		with guard.With
		want guard.Verdict
	}{
		"room enough":      {guard.With{"path": dir, "free": "1B"}, guard.Pass},
		"of a file":        {guard.With{"path": file, "used": "100%"}, guard.Pass},
		"never so much":    {guard.With{"path": dir, "free": "8000PB"}, guard.Fail},
		"used by somebody": {guard.With{"path": dir, "used": "0.0000001%"}, guard.Fail},
	} {
		got, err := probe(t, c.with).Probe(t.Context(), release)
		if err != nil || got.Verdict != c.want || got.Expected == "" || got.Observed == "" || (got.Remedy == "") != (c.want == guard.Pass) {
			t.Errorf("%s: %+v, error %v, want %s", name, got, err, c.want)
		}
	}
	for path, want := range map[string]string{
		"/nowhere/at/all": "measure the disk of /nowhere/at/all: no such file or directory",
		"/proc":           "measure the disk of /proc: its file system says that it has no size",
	} {
		if _, err := os.Stat(path); path == "/proc" && err != nil {
			continue
		}
		if got, err := probe(t, guard.With{"path": path, "free": "1B"}).Probe(t.Context(), release); err == nil || err.Error() != want || got.Verdict != guard.Unknown {
			t.Errorf("%s: %s, error %v, want %s", path, got.Verdict, err, want)
		}
	}
}

func TestJudge(t *testing.T) {
	const gb = 1_000_000_000
	half := room{used: 50 * gb, free: 50 * gb, usedFiles: 10, freeFiles: 90}
	many := room{used: 10 * gb, free: 90 * gb, usedFiles: 80, freeFiles: 20}
	none := room{used: 69 * gb, free: 31 * gb}
	for name, c := range map[string]struct {
		with     guard.With
		room     room
		reason   string // empty: it passes
		observed string
		expected string
	}{
		"just enough":       {guard.With{"free": "50GB"}, half, "", "50GB free, 50.0% used; of its files (inodes) 10.0% used", "at least 50GB free"},
		"a little less":     {guard.With{"free": "50.000000001GB"}, half, "1B are missing", "", ""},
		"a lot less":        {guard.With{"free": "1TB"}, half, "950GB are missing", "", "at least 1TB free"},
		"just not too much": {guard.With{"used": "50%"}, half, "", "", "at most 50% used"},
		"too much":          {guard.With{"used": "49.9%"}, half, "more than 49.9% is used", "", ""},
		"too many files":    {guard.With{"used": "70%"}, many, "more than 70% of its files (inodes) is used", "90GB free, 10.0% used; of its files (inodes) 80.0% used", ""},
		"files of no limit": {guard.With{"used": "70%"}, none, "", "31GB free, 69.0% used", ""},
		"both":              {guard.With{"free": "10GB", "used": "60%"}, half, "", "", "at least 10GB free, and at most 60% used"},
		"one of both":       {guard.With{"free": "10GB", "used": "40%"}, half, "more than 40% is used", "", ""},
		"the other":         {guard.With{"free": "60GB", "used": "60%"}, half, "10GB are missing", "", ""},
		"files do not free": {guard.With{"free": "10GB"}, many, "", "", ""},
		"full":              {guard.With{"used": "99%"}, room{used: gb}, "more than 99% is used", "0B free, 100.0% used", ""},
	} {
		c.with["path"] = "/data"
		got := probe(t, c.with).judge(c.room)
		if got.Reason != c.reason || (got.Verdict == guard.Pass) != (c.reason == "") {
			t.Errorf("%s: %s because %q, want %q", name, got.Verdict, got.Reason, c.reason)
		}
		if c.observed != "" && got.Observed != c.observed || c.expected != "" && got.Expected != c.expected {
			t.Errorf("%s: observed %q, expected %q\nwant %q, %q", name, got.Observed, got.Expected, c.observed, c.expected)
		}
	}
}

func TestCounts(t *testing.T) {
	for name, c := range map[string]struct {
		counts counts
		want   room
		err    string
	}{
		"usual":         {counts{4096, 100, 50, 40, 20, 15}, room{used: 50 * 4096, free: 40 * 4096, usedFiles: 5, freeFiles: 15}, ""},
		"full":          {counts{4096, 100, 5, 0, 0, 0}, room{used: 95 * 4096}, ""},
		"made up files": {counts{4096, 100, 50, 40, 20, 21}, room{used: 50 * 4096, free: 40 * 4096}, ""},
		"nothing":       {counts{}, room{}, "its file system says that it has no size"},
		"more free":     {counts{4096, 100, 101, 40, 0, 0}, room{}, "its file system says what cannot be"},
		"less than 0":   {counts{4096, 100, 50, math.MaxUint64, 0, 0}, room{}, "its file system says what cannot be"},
		"too large":     {counts{4096, math.MaxUint64 / 2, 0, 0, 0, 0}, room{}, "its file system says what cannot be"},
	} {
		got, err := c.counts.room()
		if got != c.want || (err == nil) != (c.err == "") || err != nil && err.Error() != c.err {
			t.Errorf("%s: %+v, error %v", name, got, err)
		}
	}
}

func TestSize(t *testing.T) {
	for text, want := range map[string]struct {
		bytes Size
		text  string
	}{
		"1B":      {1, "1B"},
		"20GB":    {20_000_000_000, "20GB"},
		"20 GB":   {20_000_000_000, "20GB"},
		"20GiB":   {20 << 30, "21.5GB"},
		"1.5TiB":  {1536 << 30, "1.65TB"},
		"500MB":   {500_000_000, "500MB"},
		"1kB":     {1000, "1kB"},
		"1KiB":    {1024, "1.02kB"},
		"999B":    {999, "999B"},
		"999.9MB": {999_900_000, "1GB"},
		"2.3GB":   {2_300_000_000, "2.3GB"},
		"1PiB":    {1 << 50, "1.13PB"},
	} {
		got, err := ParseSize(text)
		if err != nil || got != want.bytes || got.String() != want.text {
			t.Errorf("ParseSize(%q) = %d (%s), error %v, want %d (%s)", text, got, got, err, want.bytes, want.text)
		}
	}
	for _, text := range []string{"", "20", "GB", "-1GB", "20gb", "20Gb", "20G", "0GB", "0.1B", "1e3GB", "20GB ", "9999999PB", "1..5GB", "20XB"} {
		if got, err := ParseSize(text); err == nil {
			t.Errorf("ParseSize(%q) = %d", text, got)
		}
	}
}

func TestContract(t *testing.T) {
	with := guard.With{"path": t.TempDir(), "free": "8000PB"}
	plugintest.Both(t, kit, func(t *testing.T, kit plugins.Kit) {
		plugintest.Probe(t, plugintest.Make(t, kit.Probes["disk"], with), release, guard.Fail)
	})
}

func TestConfig(t *testing.T) {
	const bound = "free, used: one of them has to be there (like free: 20GB, or used: 70%)"
	for name, c := range map[string]struct {
		with guard.With
		err  string
	}{
		"nothing":   {nil, "path: missing (like /var/lib/postgresql)"},
		"no bound":  {guard.With{"path": "/"}, bound},
		"no unit":   {guard.With{"path": "/", "free": "20"}, `free: "20" is not a size (try 20GB, 500MB, 1.5TiB)`},
		"a number":  {guard.With{"path": "/", "free": 20}, "free: 20 is not text (put it in quotes)"},
		"no share":  {guard.With{"path": "/", "used": "70"}, `used: "70" is not a share (try 5% or 0.02pp)`},
		"too much":  {guard.With{"path": "/", "used": "101%"}, "used: 101% is more than there is"},
		"none used": {guard.With{"path": "/", "used": "0%"}, bound},
		"slip":      {guard.With{"path": "/", "fre": "1GB"}, "fre: there is no such key (did you mean free?)"},
	} {
		t.Run(name, func(t *testing.T) {
			if _, err := NewProbe(c.with); err == nil || err.Error() != c.err {
				t.Errorf("error %v\nwant  %s", err, c.err)
			}
		})
	}
}
