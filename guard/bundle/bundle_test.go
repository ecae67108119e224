package bundle

import (
	"archive/tar"
	"bytes"
	"compress/gzip"
	"fmt"
	"runtime"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/golive-dev/golive/guard"
)

// full is a bundle of everything that one can hold.
func full() Bundle {
	at := time.Date(2026, 11, 24, 3, 0, 0, 123, time.UTC)
	return Bundle{
		Manifest: Manifest{Format: Format, Version: "v1", At: at, File: "golive.yaml", Release: guard.Release{Service: "shop", From: "v1", To: "v2"},
			Remembers: true, Only: []string{"backup"}, Skip: []string{"roster"}, Strict: true, Over: &Over{6, "it took too long"}},
		Plan: []byte("service: shop\n"),
		Answers: []Testimony{
			{Question: guard.Question{Tool: "sh"}, Answer: guard.Answer{Path: "/bin/sh"}},
			{Question: guard.Question{Standing: true}, Error: "no route"},
		},
		Checks: []Told{{Check: guard.Check{Code: "A1", ID: "a.b", Doc: "Asks.", Needs: []string{"c.d"}}, Foreign: true,
			Findings: []guard.Finding{{Verdict: guard.Fail, Title: "all is well", At: at}}}},
	}
}

func packed(t testing.TB, b Bundle) []byte {
	t.Helper()
	var text bytes.Buffer
	if err := b.Write(&text); err != nil {
		t.Fatal(err)
	}
	return text.Bytes()
}

func TestWriteAndRead(t *testing.T) {
	first := packed(t, full())
	if !bytes.Equal(first, packed(t, full())) {
		t.Error("the same bundle is not the same bytes")
	}
	got, err := Read(bytes.NewReader(first))
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(full(), got); diff != "" {
		t.Errorf("(-want +got)\n%s", diff)
	}
}

// A file is a file of an archive that somebody made.
type file struct {
	name, text string
	header     tar.Header
}

// archive packs files.
func archive(t testing.TB, files ...file) []byte {
	t.Helper()
	var text bytes.Buffer
	squeezed, err := gzip.NewWriterLevel(&text, gzip.BestSpeed)
	if err != nil {
		t.Fatal(err)
	}
	w := tar.NewWriter(squeezed)
	for _, f := range files {
		f.header.Name, f.header.Mode = f.name, 0o600
		if f.header.Typeflag == 0 {
			f.header.Size = int64(len(f.text))
		}
		if err := w.WriteHeader(&f.header); err != nil {
			t.Fatal(err)
		}
		if _, err := w.Write([]byte(f.text)); err != nil {
			t.Fatal(err)
		}
	}
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	if err := squeezed.Close(); err != nil {
		t.Fatal(err)
	}
	return text.Bytes()
}

const manifest = `{"format":"golive.bundle/1","version":"v1","at":"2026-11-24T03:00:00Z","file":"golive.yaml","release":{"service":"shop","to":"v2"}}`

// A bundle may come from anybody: what is wrong with one is said, and none takes more memory than a bundle may.
func TestRead(t *testing.T) {
	whole := func(changed ...file) []file {
		files := []file{{name: manifestFile, text: manifest}, {name: planFile, text: "service: shop\n"}, {name: answersFile, text: "[]"}, {name: checksFile, text: "[]"}}
		for _, c := range changed {
			for i := range files {
				if files[i].name == c.name {
					files[i] = c
				}
			}
		}
		return files
	}
	for _, c := range []struct {
		name   string
		packed []byte
		wrong  string // empty: nothing
	}{
		{"whole", archive(t, whole()...), ""},
		{"empty", nil, "this is no bundle of golive check: EOF"},
		{"no gzip", []byte("service: shop\n"), "this is no bundle of golive check: "},
		{"cut", archive(t, whole()...)[:200], "this is no bundle of golive check: "},
		{"no plan", archive(t, file{name: manifestFile, text: manifest}, file{name: answersFile, text: "[]"}, file{name: checksFile, text: "[]"}), "it has no plan.yaml"},
		{"twice", archive(t, append(whole(), file{name: planFile})...), "it holds plan.yaml twice"},
		{"one more", archive(t, append(whole(), file{name: "../../etc/cron.d/x"})...), `it holds "../../etc/cron.d/x", which is no file of a bundle`},
		{"a path", archive(t, append(whole(), file{name: "./plan.yaml"})...), `it holds "./plan.yaml"`},
		{"a link", archive(t, file{name: planFile, header: tar.Header{Typeflag: tar.TypeSymlink, Linkname: "/etc/passwd"}}), `it holds "plan.yaml", which is no file of a bundle`},
		{"a name that a terminal obeys", archive(t, file{name: "\x1b[31mx"}), `it holds "?[31mx"`},
		{"another format", archive(t, whole(file{name: manifestFile, text: strings.Replace(manifest, "bundle/1", "bundle/2", 1)})...),
			`manifest.json: the format is "golive.bundle/2", and this golive reads golive.bundle/1 (replay it with golive v1, which wrote it)`},
		{"no release", archive(t, whole(file{name: manifestFile, text: strings.Replace(manifest, `"to":"v2"`, `"to":""`, 1)})...), "manifest.json: release: "},
		{"ended well", archive(t, whole(file{name: manifestFile, text: strings.Replace(manifest, `"file"`, `"over":{"code":0},"file"`, 1)})...), "over: the exit code is 0"},
		{"garbage", archive(t, whole(file{name: answersFile, text: `[{"question":7}]`})...), "answers.json: json: cannot unmarshal number"},
		{"no verdict", archive(t, whole(file{name: checksFile, text: `[{"findings":[{"verdict":"fine"}]}]`})...), `checks.json: "fine" is not a verdict`},
		{"a long plan", archive(t, whole(file{name: planFile, text: strings.Repeat("#", mostPlan+1)})...), "plan.yaml is larger than 1 MiB"},
		{"a bomb", archive(t, whole(file{name: answersFile, text: "[" + strings.Repeat(" ", mostUnpacked)})...), "it is larger than 64 MiB"},
		{"a bomb of two halves", archive(t, whole(file{name: answersFile, text: "[" + strings.Repeat(" ", mostUnpacked/2)},
			file{name: checksFile, text: "[" + strings.Repeat(" ", mostUnpacked/2)})...), "it is larger than 64 MiB"},
		{"a bomb of objects", archive(t, whole(file{name: answersFile, text: "[{}" + strings.Repeat(",{}", mostObjects) + "]"})...), "answers.json: it holds more than 400000 objects"},
		{"a bomb of nothing", archive(t, whole(file{name: answersFile, text: `[{"answer":{"readings":[{"series":[null` + strings.Repeat(",null", mostObjects) + `]}]}}]`})...),
			"answers.json: it holds more than 400000 objects"},
		{"a bomb of holes", holes(t, 1<<40), "it is larger than 64 MiB"},
	} {
		t.Run(c.name, func(t *testing.T) {
			var before, after runtime.MemStats
			runtime.ReadMemStats(&before)
			_, err := Read(bytes.NewReader(c.packed))
			runtime.ReadMemStats(&after)
			if took := after.TotalAlloc - before.TotalAlloc; took > 400<<20 {
				t.Errorf("it took %d MiB of memory", took>>20)
			}
			switch {
			case c.wrong == "" && err != nil:
				t.Error(err)
			case c.wrong != "" && (err == nil || !strings.Contains(err.Error(), c.wrong)):
				t.Errorf("error %v, want one that says %q", err, c.wrong)
			}
		})
	}
}

// holes is an archive with a file of so many bytes of which none is stored, which Go reads and does not write.
func holes(t *testing.T, size int64) []byte {
	t.Helper()
	var text bytes.Buffer
	squeezed := gzip.NewWriter(&text)
	entry := func(kind byte, name, content string) {
		block := make([]byte, 512)
		copy(block, name)
		copy(block[100:], "0000600\x000000000\x000000000\x00")
		copy(block[124:], fmt.Sprintf("%011o\x0000000000000\x00", len(content)))
		copy(block[148:], "        ")
		block[156] = kind
		copy(block[257:], "ustar\x0000")
		sum := 0
		for _, b := range block {
			sum += int(b)
		}
		copy(block[148:], fmt.Sprintf("%06o\x00 ", sum))
		squeezed.Write(append(block, content+strings.Repeat("\x00", (512-len(content)%512)%512)...))
	}
	var records string
	for _, r := range []string{"GNU.sparse.major=1", "GNU.sparse.minor=0", "GNU.sparse.name=" + answersFile, fmt.Sprintf("GNU.sparse.realsize=%d", size)} {
		records += fmt.Sprintf("%d %s\n", len(r)+4, r)
	}
	entry(tar.TypeXHeader, "header", records)
	entry(tar.TypeReg, answersFile, "0\n"+strings.Repeat("\x00", 510))
	squeezed.Write(make([]byte, 1024))
	if err := squeezed.Close(); err != nil {
		t.Fatal(err)
	}
	return text.Bytes()
}

// FuzzRead feeds it archives of any kind: nothing panics, and what can be read can be written and read again.
func FuzzRead(f *testing.F) {
	whole := full()
	f.Add(packed(f, whole))
	f.Add(archive(f, file{name: manifestFile, text: manifest}))
	f.Fuzz(func(t *testing.T, packed []byte) { again(t, packed) })
}

// FuzzFiles feeds it files of any content, which a fuzzer would hardly find its way to through gzip.
func FuzzFiles(f *testing.F) {
	f.Add(manifest, "service: shop\n", `[{"question":{"tool":"sh"},"answer":{"path":"/bin/sh"}}]`, `[{"check":{"ID":"a.b","Code":"A1"},"foreign":true,"findings":[{"verdict":"fail"}]}]`)
	f.Add(manifest, "", `[{"question":{"readings":1},"answer":{"readings":[{"at":"2026-11-24T03:00:00Z","series":[{"total":1}]}]}}]`, "[]")
	f.Fuzz(func(t *testing.T, manifest, plan, answers, checks string) {
		again(t, archive(t, file{name: manifestFile, text: manifest}, file{name: planFile, text: plan},
			file{name: answersFile, text: answers}, file{name: checksFile, text: checks}))
	})
}

func again(t *testing.T, text []byte) {
	b, err := Read(bytes.NewReader(text))
	if err != nil {
		return
	}
	scene := b.Scene(&guard.Plan{})
	for _, a := range b.Answers {
		if answer, err := scene.Ask(t.Context(), a.Question); err == nil && a.Error != "" && len(b.Answers) == 1 {
			t.Errorf("the answer to %+v is %+v, and was the error %s", a.Question, answer, a.Error)
		}
	}
	all, err := b.All([]guard.Check{{Code: "GL1", ID: "a.a"}})
	if err == nil {
		err = b.Repeat(all)
	}
	for _, c := range all {
		if err == nil && c.Run != nil {
			c.Run(t.Context(), scene)
		}
	}
	first := packed(t, b)
	read, err := Read(bytes.NewReader(first))
	if err != nil {
		t.Fatalf("what was read cannot be read again: %v", err)
	}
	if second := packed(t, read); !bytes.Equal(first, second) {
		t.Error("what was read again is something else")
	}
}
