package report

import (
	"encoding/json"
	"io"

	"github.com/golive-dev/golive/guard"
)

// Schema names the shape of the JSON that golive check answers with. The number grows when a reader of the old
// shape would misunderstand the new one; a key that is new misleads nobody.
const Schema = "golive.check/1"

// answer is the JSON of an assessment, and without its findings the last line of ndjson.
type answer struct {
	Schema     string            `json:"schema"`
	Version    string            `json:"version,omitempty"`
	Plan       string            `json:"plan,omitempty"`
	Release    guard.Release     `json:"release"`
	Mode       guard.Mode        `json:"mode,omitempty"`
	Verdict    guard.Verdict     `json:"verdict"`
	Summary    string            `json:"summary"`
	Findings   []finding         `json:"findings,omitempty"`
	Skipped    []string          `json:"skipped,omitempty"`
	Off        []string          `json:"off,omitempty"`
	BreakGlass *guard.BreakGlass `json:"break_glass,omitempty"`
	Fence      guard.Fence       `json:"fence,omitempty"` // of the backend
	ExitCode   int               `json:"exit_code"`
}

// finding is the JSON of an entry.
type finding struct {
	guard.Finding
	Position guard.Position `json:"position,omitzero"`
}

func (s sheet) answer() answer {
	return answer{
		Schema: Schema, Version: s.Version, Plan: s.file, Release: s.Release, Mode: s.Mode,
		Verdict: s.Verdict, Summary: s.summary(), Skipped: s.Skipped, Off: s.Off, BreakGlass: s.BreakGlass, Fence: s.Fence, ExitCode: s.ExitCode,
	}
}

func writeJSON(w io.Writer, s sheet) error {
	a := s.answer()
	for _, e := range s.entries {
		a.Findings = append(a.Findings, finding{e.Finding, e.at})
	}
	encoder := json.NewEncoder(w)
	encoder.SetEscapeHTML(false)
	encoder.SetIndent("", "  ")
	return encoder.Encode(a)
}

// A Stream writes ndjson while the checks go on: a line for each finding as soon as it is there, and at the end
// one for the answer. Without the last line it is not whole.
type Stream struct {
	about   Assessment
	encoder *json.Encoder
	err     error // the first that happened
}

// NewStream begins a stream about what is known before the first finding.
func NewStream(w io.Writer, about Assessment) *Stream {
	encoder := json.NewEncoder(w)
	encoder.SetEscapeHTML(false)
	return &Stream{about: about, encoder: encoder}
}

// Found writes one finding.
func (s *Stream) Found(f guard.Finding) {
	about := s.about
	about.Findings = []guard.Finding{f}
	s.entry(about.sheet().entries[0])
}

// End writes the answer that the findings came to, and returns the first error of the whole stream.
func (s *Stream) End(a Assessment) error {
	s.line("answer", a.sheet().answer())
	return s.err
}

func (s *Stream) entry(e entry) { s.line("finding", finding{e.Finding, e.at}) }

func (s *Stream) line(key string, value any) {
	if s.err == nil {
		s.err = s.encoder.Encode(map[string]any{key: value})
	}
}

func writeNDJSON(w io.Writer, s sheet) error {
	stream := NewStream(w, s.Assessment)
	for _, e := range s.entries {
		stream.entry(e)
	}
	stream.line("answer", s.answer())
	return stream.err
}
