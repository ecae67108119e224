// Package hook is what the hooks of deploy tools share: reading a message, naming it, and answering it. A message is
// untrusted: it is bounded, and no answer repeats more than 200 characters of it.
package hook

import (
	"context"
	"crypto/sha256"
	"encoding/binary"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"slices"
	"strings"
	"time"
	"unicode"
	"unicode/utf8"

	"github.com/golive-dev/golive/guard"
	"github.com/golive-dev/golive/guard/judge"
)

const (
	// BodyBytes is how long a message may be.
	BodyBytes = 1 << 20
	// Echo is how many characters of a message an answer may repeat.
	Echo = 200
	// NameBytes is how long the name of a service, an environment or a version may be.
	NameBytes = 200
	// Again is when a tool should try again that was told so.
	Again = 5 * time.Second

	quoted = 60 // characters of a value that a reason names, so that three of them are not too many
)

type reportKey struct{}

// WithReport returns a context whose hooks hand f what goes wrong without the tool being told why. f may be called from
// several goroutines.
func WithReport(ctx context.Context, f func(error)) context.Context {
	return context.WithValue(ctx, reportKey{}, f)
}

// Report lets the operator know of an error that the tool is not told of. Without WithReport there is nobody to tell.
func Report(ctx context.Context, err error) {
	if f, ok := ctx.Value(reportKey{}).(func(error)); ok && err != nil {
		f(err)
	}
}

// A Refusal is a permanent no, with a reason that a person at the tool can act on.
type Refusal struct {
	Status int // of HTTP, 4xx
	Reason string
}

func (e *Refusal) Error() string { return e.Reason }

// Refuse makes a Refusal. Values of the message belong into it through Quote.
func Refuse(status int, format string, values ...any) *Refusal {
	return &Refusal{Status: status, Reason: fmt.Sprintf(format, values...)}
}

// Quote is a value of a message as a reason may repeat it: in quotes, and cut.
func Quote(value string) string { return fmt.Sprintf("%q", Cut(value, quoted)) }

// Cut returns at most that many characters of a text, and says where something is missing.
func Cut(text string, characters int) string {
	n := 0
	for i := range text {
		if n == characters-1 && utf8.RuneCountInString(text[i:]) > 1 {
			return text[:i] + "…"
		}
		n++
	}
	return text
}

// Read returns the body of a request. More than BodyBytes, and a body that breaks off, are Refusals.
func Read(w http.ResponseWriter, r *http.Request) ([]byte, error) {
	body, err := io.ReadAll(http.MaxBytesReader(w, r.Body, BodyBytes))
	var long *http.MaxBytesError
	switch {
	case errors.As(err, &long):
		return nil, Refuse(http.StatusRequestEntityTooLarge, "the message is longer than %d bytes", BodyBytes)
	case err != nil:
		return nil, Refuse(http.StatusBadRequest, "the message broke off after %d bytes", len(body))
	}
	return body, nil
}

// Decode reads one JSON value into a struct. Fields that the struct does not know are fine; a field of another type, and
// anything behind the value, are Refusals.
func Decode(body []byte, into any) error {
	err := json.Unmarshal(body, into)
	var kind *json.UnmarshalTypeError
	var syntax *json.SyntaxError
	switch {
	case err == nil:
		return nil
	case errors.As(err, &kind):
		field := kind.Field
		is, _, _ := strings.Cut(kind.Value, " ") // "number 1e400": only what it is
		if field == "" {
			field = "the message"
		}
		return Refuse(http.StatusBadRequest, "%s is of the JSON type %s, and has to be %s", Quote(field), is, kindOf(kind))
	case errors.As(err, &syntax):
		return Refuse(http.StatusBadRequest, "the message is no JSON: it breaks off or goes wrong at byte %d of %d", syntax.Offset, len(body))
	}
	return Refuse(http.StatusBadRequest, "the message cannot be read: %s", Cut(err.Error(), Echo))
}

func kindOf(e *json.UnmarshalTypeError) string {
	switch name := e.Type.Kind().String(); name {
	case "struct", "map":
		return "an object"
	case "slice":
		return "a list"
	case "bool":
		return "true or false"
	case "string":
		return "a string"
	default:
		return "a whole number"
	}
}

// Name refuses what cannot be the name of a service, an environment or a version: field says which. Empty is refused
// too, unless optional.
func Name(field, value string, optional bool) error {
	switch {
	case value == "" && !optional:
		return Refuse(http.StatusBadRequest, "%s is missing", field)
	case len(value) > NameBytes:
		return Refuse(http.StatusBadRequest, "%s is longer than %d bytes", field, NameBytes)
	case !utf8.ValidString(value) || strings.ContainsFunc(value, unicode.IsControl):
		return Refuse(http.StatusBadRequest, "%s holds characters that no name has", field)
	}
	return nil
}

// Release checks what a message says of a release: what a desk cannot open is refused here, because a desk's own errors
// count as temporary.
func Release(r guard.Release) error {
	for _, part := range []struct {
		field, value string
		optional     bool
	}{
		{"service", r.Service, false}, {"environment", r.Environment, true}, {"from", r.From, true}, {"to (the new version)", r.To, false},
	} {
		if err := Name(part.field, part.value, part.optional); err != nil {
			return err
		}
	}
	if err := r.Validate(); err != nil {
		return Refuse(http.StatusBadRequest, "%s", Cut(err.Error(), Echo))
	}
	return nil
}

// ID names a delivery: "flagger/open/6b0c...". The same parts give the same name, and other parts another, also where
// they are the same when written one behind the other.
func ID(source, kind string, parts ...string) string {
	sum := sha256.New()
	for _, part := range parts {
		var length [8]byte
		binary.BigEndian.PutUint64(length[:], uint64(len(part)))
		sum.Write(length[:])
		sum.Write([]byte(part))
	}
	return source + "/" + kind + "/" + hex.EncodeToString(sum.Sum(nil)[:16])
}

// Method answers 405 and returns false unless the method of r is one of those allowed.
func Method(w http.ResponseWriter, r *http.Request, allowed ...string) bool {
	if slices.Contains(allowed, r.Method) {
		return true
	}
	w.Header().Set("Allow", strings.Join(allowed, ", "))
	Answer(w, http.StatusMethodNotAllowed, problem{Error: "this is to be asked with " + strings.Join(allowed, " or ")})
	return false
}

// Answer writes a JSON answer. That the tool has gone away is no error: it asks again.
func Answer(w http.ResponseWriter, status int, v any) {
	text, err := json.Marshal(v)
	if err != nil {
		panic(err) // the hooks answer with structs of strings and numbers, which JSON can hold
	}
	w.Header().Set("Content-Type", "application/json")
	w.Header().Set("X-Content-Type-Options", "nosniff")
	w.WriteHeader(status)
	_, _ = w.Write(append(text, '\n'))
}

// problem is the answer to what was not done.
type problem struct {
	Error   string `json:"error"`
	Rollout string `json:"rollout,omitempty"` // that stands in the way
}

// Status is how an error of a desk, or a Refusal, is answered. What is temporary is 503, and nothing else is.
func Status(err error) int {
	var refusal *Refusal
	var underWay *guard.UnderWayError
	switch {
	case errors.As(err, &refusal):
		return refusal.Status
	case errors.Is(err, guard.ErrForbidden):
		return http.StatusForbidden
	case errors.Is(err, guard.ErrNoPlan), errors.Is(err, guard.ErrNoRollout):
		return http.StatusNotFound
	case errors.Is(err, guard.ErrOver), errors.As(err, &underWay):
		return http.StatusConflict
	}
	return http.StatusServiceUnavailable
}

// Fail answers an error of a desk, or a Refusal. A temporary one is for the operator alone: the tool is asked to try
// again, and Report has the reason.
func Fail(w http.ResponseWriter, r *http.Request, err error) {
	status := Status(err)
	if status == http.StatusServiceUnavailable {
		w.Header().Set("Retry-After", fmt.Sprint(int(Again.Seconds())))
		Answer(w, status, problem{Error: "golive cannot answer at the moment: try again"})
		Report(r.Context(), fmt.Errorf("answer %s: %w", r.URL.Path, err))
		return
	}
	no := problem{Error: Cut(err.Error(), Echo)}
	var underWay *guard.UnderWayError
	if errors.As(err, &underWay) {
		no.Rollout = underWay.ID
	}
	Answer(w, status, no)
}

// Opinion is what a rollout says of its new version now. Whoever has not looked three times in a row, and for at least
// half a minute, is not watching any more.
func Opinion(p *guard.Plan, s guard.State, now time.Time) guard.Opinion {
	return s.Opinion(now, max(3*p.Watch.Every.Std(), 30*time.Second))
}

// Why is the sentence behind an opinion, for people.
func Why(s guard.State, o guard.Opinion) string {
	why := s.Why
	switch {
	case o == guard.Unseeing && (s.Ruling.Call != judge.Blind || s.Ruling.At.IsZero()):
		why = "nobody has looked since " + s.At.UTC().Format(time.RFC3339)
	case o != guard.Harmful && s.Phase != guard.Over && s.Held != "":
		why = s.Held
	case o != guard.Harmful && s.Phase != guard.Over && len(s.Alerts) > 0:
		why = "the alert " + s.Alerts[0].Name + " fires"
	case s.Phase != guard.Over && o != guard.Harmful && s.Ruling.Why != "":
		why = s.Ruling.Why
	}
	return Cut(why, Echo)
}
