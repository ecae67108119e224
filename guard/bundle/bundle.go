// Package bundle keeps what golive check learned about the world in one file, so that the same judgement can be made
// again from it: tomorrow, on another machine, without the network, the environment and the parts of the plan. It
// does no input and output of its own but to the streams that it is given.
//
// A bundle is a tar archive, compressed with gzip, of four files:
//
//	manifest.json   an object: format, which is golive.bundle/1; version, of the golive that wrote it; at, the time of
//	                the checks; release; remembers, if the source keeps a history; only, skip and strict, as the call
//	                had them; and over, the exit code and the reason, if the checks were ended before all had an answer
//	plan.yaml       the plan, as it was written; its name is file in the manifest
//	answers.json    an array of {question, answer, error}: everything that was asked of the world, each question once,
//	                with its latest answer
//	checks.json     an array of {check, foreign, findings}: the findings of those checks that cannot be made again
//	                from the answers. Those of a plugin are foreign, and come with all that the plugin says of
//	                them. The others had no answer in time, or panicked, or were asked before the last round of a
//	                check that waited; what they found is about the plan in the bundle, and about no other
//
// A reader accepts no other file, none twice, and nothing that is larger than a bundle can be. The number of the
// format grows when a reader of the old one would misunderstand the new one; keys that it does not know it ignores.
//
// A bundle holds no secrets, for what goes into it is cleaned like all that golive says. It does hold the plan, and
// with it the people of its roster, and whatever the files and vaults of the plan answered: keep it like the plan.
package bundle

import (
	"archive/tar"
	"bytes"
	"compress/gzip"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"slices"
	"time"

	"github.com/golive-dev/golive/guard"
)

// Format is what the manifest of a bundle says it is.
const Format = "golive.bundle/1"

// A Bundle is what one golive check learned. The zero value holds nothing.
type Bundle struct {
	Manifest
	Plan    []byte // its source
	Answers []Testimony
	Checks  []Told
}

// A Manifest says what a bundle is about.
type Manifest struct {
	Format    string        `json:"format"`
	Version   string        `json:"version"` // of golive
	At        time.Time     `json:"at"`
	File      string        `json:"file"` // the name of the plan
	Release   guard.Release `json:"release"`
	Remembers bool          `json:"remembers,omitempty"`
	Only      []string      `json:"only,omitempty"`
	Skip      []string      `json:"skip,omitempty"`
	Strict    bool          `json:"strict,omitempty"` // a warning has an exit code
	Over      *Over         `json:"over,omitempty"`   // nil: every check had its time
	// BreakGlass is why the release may go live in spite of its checks; nil: it may not.
	BreakGlass *guard.BreakGlass `json:"break_glass,omitempty"`
	// Fence is what the backend said of its own; empty: it was not asked.
	Fence guard.Fence `json:"fence,omitempty"`
}

// Over says why the checks were ended.
type Over struct {
	Code   int    `json:"code"` // the exit code
	Reason string `json:"reason"`
}

// A Testimony is a question and what came of it: an answer, or an error.
type Testimony struct {
	Question guard.Question `json:"question"`
	Answer   guard.Answer   `json:"answer,omitzero"`
	Error    string         `json:"error,omitempty"`
}

// Told are the findings of a check that cannot be made again from the answers.
type Told struct {
	Check    guard.Check     `json:"check"`
	Foreign  bool            `json:"foreign,omitempty"` // of a plugin: it is not known here but for this
	Findings []guard.Finding `json:"findings"`          // before they were weighed by what the check means to the plan
}

const (
	mostPacked   = 16 << 20 // bytes
	mostUnpacked = 64 << 20 // bytes, of all files together
	mostPlan     = 1 << 20  // bytes
	// mostObjects bounds the memory that a file takes: a tiny object in it can be a large value here. A past of half
	// an hour of five signals on a thousand instances has 155,000.
	mostObjects = 400_000
)

// The files of a bundle, in their order.
const (
	manifestFile = "manifest.json"
	planFile     = "plan.yaml"
	answersFile  = "answers.json"
	checksFile   = "checks.json"
)

// Write writes the bundle. The same bundle is always the same bytes.
func (b Bundle) Write(w io.Writer) error {
	b.Format = Format
	packed := gzip.NewWriter(w)
	archive := tar.NewWriter(packed)
	for _, file := range []struct {
		name  string
		value any
	}{{manifestFile, b.Manifest}, {planFile, b.Plan}, {answersFile, b.Answers}, {checksFile, b.Checks}} {
		text, ok := file.value.([]byte)
		if !ok {
			var err error
			if text, err = json.MarshalIndent(file.value, "", "  "); err != nil {
				return fmt.Errorf("%s: %w", file.name, err)
			}
			text = append(text, '\n')
		}
		header := &tar.Header{Typeflag: tar.TypeReg, Name: file.name, Size: int64(len(text)), Mode: 0o600, ModTime: b.At.Truncate(time.Second)}
		if err := archive.WriteHeader(header); err != nil {
			return fmt.Errorf("%s: %w", file.name, err)
		}
		if _, err := archive.Write(text); err != nil {
			return fmt.Errorf("%s: %w", file.name, err)
		}
	}
	return errors.Join(archive.Close(), packed.Close())
}

// Read reads a bundle, which may come from anybody. An error says what is wrong with it.
func Read(r io.Reader) (Bundle, error) {
	files, err := unpack(io.LimitReader(r, mostPacked+1))
	if err != nil {
		return Bundle{}, fmt.Errorf("this is no bundle of golive check: %w", err)
	}
	var b Bundle
	if err := decode(files, manifestFile, &b.Manifest); err != nil {
		return Bundle{}, err
	}
	if b.Format != Format {
		return Bundle{}, fmt.Errorf("%s: the format is %q, and this golive reads %s (replay it with golive %s, which wrote it)",
			manifestFile, b.Format, Format, guard.Line(b.Version, 40))
	}
	if err := b.Release.Validate(); err != nil {
		return Bundle{}, fmt.Errorf("%s: release: %w", manifestFile, err)
	}
	if b.Over != nil && b.Over.Code <= 0 {
		return Bundle{}, fmt.Errorf("%s: over: the exit code is %d, and a check that was ended has none like it", manifestFile, b.Over.Code)
	}
	b.Plan = files[planFile]
	return b, errors.Join(decode(files, answersFile, &b.Answers), decode(files, checksFile, &b.Checks))
}

// unpack reads the files of an archive. Nothing is ever written where a name in it says.
func unpack(packed io.Reader) (map[string][]byte, error) {
	unpacked, err := gzip.NewReader(packed)
	if err != nil {
		return nil, err
	}
	known := []string{manifestFile, planFile, answersFile, checksFile}
	files := make(map[string][]byte, len(known))
	within := &io.LimitedReader{R: unpacked, N: mostUnpacked}
	left := int64(mostUnpacked) // a file with holes is larger than what it is read from
	for archive := tar.NewReader(within); ; {
		header, err := archive.Next()
		switch {
		case within.N <= 0:
			return nil, fmt.Errorf("it is larger than %d MiB", mostUnpacked>>20)
		case errors.Is(err, io.EOF):
			for _, name := range known {
				if _, there := files[name]; !there {
					return nil, fmt.Errorf("it has no %s", name)
				}
			}
			return files, nil
		case err != nil:
			return nil, err
		}
		_, twice := files[header.Name]
		left -= max(0, header.Size)
		switch {
		case !slices.Contains(known, header.Name) || header.Typeflag != tar.TypeReg:
			return nil, fmt.Errorf("it holds %q, which is no file of a bundle", guard.Line(header.Name, 100))
		case twice:
			return nil, fmt.Errorf("it holds %s twice", header.Name)
		case header.Name == planFile && header.Size > mostPlan:
			return nil, fmt.Errorf("%s is larger than %d MiB", planFile, mostPlan>>20)
		case left < 0:
			return nil, fmt.Errorf("it is larger than %d MiB", mostUnpacked>>20)
		}
		text, err := io.ReadAll(archive)
		if err != nil {
			return nil, fmt.Errorf("%s: %w", header.Name, err)
		}
		files[header.Name] = text
	}
}

// decode reads one of the files as JSON.
func decode(files map[string][]byte, name string, into any) error {
	text := files[name]
	if bytes.Count(text, []byte("{"))+bytes.Count(text, []byte("null")) > mostObjects {
		return fmt.Errorf("%s: it holds more than %d objects", name, mostObjects)
	}
	if err := json.Unmarshal(text, into); err != nil {
		return fmt.Errorf("%s: %w", name, err)
	}
	return nil
}
