package plugins

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"regexp"
	"slices"
	"strings"

	"google.golang.org/grpc"
	"google.golang.org/grpc/encoding"

	"github.com/golive-dev/golive/guard"
)

// What golive and a plugin say to each other: calls of one gRPC service, whose messages are the types below as
// JSON. A plugin in another language needs a gRPC library and a JSON library, and no generated code.
//
//	golive.Plugin/Describe  {}                              -> catalog
//	golive.Plugin/Make      {kind, part}                    -> {fence}, of a backend that is a Fencer
//	golive.Plugin/Inspect   {part, release}                 -> {standing}
//	golive.Plugin/Shift     {part, order, percent}          -> {}
//	golive.Plugin/Finish    {part, order}                   -> {}
//	golive.Plugin/Read      {part, query}                   -> {reading}
//	golive.Plugin/Notify    {part, notice}                  -> {receipt}
//	golive.Plugin/Probe     {part, release}                 -> {findings}
//	golive.Plugin/Backups   {part}                          -> {backups}
//	golive.Plugin/Prove     {part, rung}                    -> {proof}
//	golive.Plugin/Run       {check, scene}                  -> {findings}
//
// Every call carries the part that it is for, set-up and all, so that a plugin that was started anew knows what
// the one before it knew. Fields that one side does not know are ignored; a call that a plugin does not know is answered
// by gRPC's UNIMPLEMENTED.
const serviceName = "golive.Plugin"

// messageBytes bounds a message in both directions.
const messageBytes = 16 << 20

// A request is any question to a plugin; which fields are set is told by the table above.
type request struct {
	Kind    string        `json:"kind,omitempty"`
	Part    guard.Part    `json:"part,omitzero"`
	Release guard.Release `json:"release,omitzero"`
	Order   guard.Order   `json:"order,omitzero"`
	Percent int           `json:"percent,omitempty"`
	Query   guard.Query   `json:"query,omitzero"`
	Notice  guard.Notice  `json:"notice,omitzero"`
	Rung    guard.Rung    `json:"rung,omitempty"`
	Check   string        `json:"check,omitempty"` // its code
	Scene   guard.Scene   `json:"scene,omitzero"`
}

// A reply is any answer of a plugin.
type reply struct {
	Catalog  catalog         `json:"catalog,omitzero"`
	Fence    guard.Fence     `json:"fence,omitempty"`    // empty: the plugin did not say
	Standing *standing       `json:"standing,omitempty"` // nil: the plugin did not say, which is not 0%
	Reading  guard.Reading   `json:"reading,omitzero"`
	Receipt  guard.Receipt   `json:"receipt,omitzero"`
	Findings []guard.Finding `json:"findings,omitempty"`
	Backups  []guard.Backup  `json:"backups,omitempty"`
	Proof    *guard.Proof    `json:"proof,omitempty"` // nil: the plugin did not say
}

// A standing is one whose share has to be said: that of guard would take an absent one for 0%.
type standing struct {
	guard.Standing
	Percent *int `json:"percent"`
}

// A catalog says what a plugin has.
type catalog struct {
	Name   string              `json:"name,omitempty"`   // of the kit
	Speaks Versions            `json:"speaks,omitzero"`  // of the protocol; zero: the plugin is older than the question
	Parts  map[string][]string `json:"parts,omitempty"`  // names by kind
	Checks []guard.Check       `json:"checks,omitempty"` // without what they run
}

var (
	partForm  = nameForm
	codeForm  = regexp.MustCompile(`^[A-Za-z][A-Za-z0-9_-]*$`)
	checkForm = regexp.MustCompile(`^[a-z0-9][a-z0-9._-]*$`)
)

// wellFormed says which names nobody could write in a plan, or are golive's own.
func (c catalog) wellFormed() error {
	var mistakes []error
	for _, kind := range slices.Sorted(maps.Keys(c.Parts)) {
		for _, name := range c.Parts[kind] {
			if !partForm.MatchString(name) {
				mistakes = append(mistakes, fmt.Errorf("the %s %q has no name for a plan (small letters, digits and dashes)", cut(kind, 100), cut(name, 100)))
			}
		}
	}
	for _, check := range c.Checks {
		if !codeForm.MatchString(check.Code) || strings.HasPrefix(check.Code, "GL") || !checkForm.MatchString(check.ID) {
			mistakes = append(mistakes, fmt.Errorf("check %q has the code %q (an ID is like flags.name, a code like FLAGS1, and none begins with GL)",
				cut(check.ID, 100), cut(check.Code, 100)))
		}
	}
	return errors.Join(mistakes...)
}

// check says what is impossible in a reply. A plugin is believed as little as any other stranger.
func (r reply) check(q request) error {
	if r.Standing != nil {
		if r.Standing.Percent == nil {
			return errors.New("its standing has no percent, which is not 0%: nobody knows where the traffic is")
		}
		if err := r.Standing.whole().Check(); err != nil {
			return err
		}
	}
	if !r.Reading.At.IsZero() || len(r.Reading.Series) > 0 {
		if err := guard.CheckReading(q.Query, r.Reading); err != nil {
			return err
		}
	}
	if r.Proof != nil {
		if err := r.Proof.Check(); err != nil {
			return err
		}
	}
	for _, b := range r.Backups {
		if b.Ended.IsZero() {
			return fmt.Errorf("backup %q has not ended", b.ID)
		}
	}
	return nil
}

// whole is the standing as others know it, once check has seen its share.
func (s standing) whole() guard.Standing {
	s.Standing.Percent = *s.Percent
	return s.Standing
}

// codec is JSON for gRPC. gRPC finds it by its name, which every call gives.
type codec struct{}

const codecName = "golive-json"

func init() { encoding.RegisterCodec(codec{}) }

func (codec) Name() string                       { return codecName }
func (codec) Marshal(v any) ([]byte, error)      { return json.Marshal(v) }
func (codec) Unmarshal(data []byte, v any) error { return json.Unmarshal(data, v) }

// An answerer answers one call.
type answerer func(s *server, ctx context.Context, q request) (reply, error)

// service is golive.Plugin, in the form that gRPC wants.
func service() *grpc.ServiceDesc {
	desc := &grpc.ServiceDesc{ServiceName: serviceName, HandlerType: (*any)(nil)}
	for _, m := range []struct {
		name   string
		answer answerer
	}{
		{"Describe", (*server).describe},
		{"Make", (*server).make},
		{"Inspect", (*server).inspect},
		{"Shift", (*server).shift},
		{"Finish", (*server).finish},
		{"Read", (*server).read},
		{"Notify", (*server).notify},
		{"Probe", (*server).probe},
		{"Backups", (*server).backups},
		{"Prove", (*server).prove},
		{"Run", (*server).run},
	} {
		desc.Methods = append(desc.Methods, grpc.MethodDesc{MethodName: m.name, Handler: m.answer.handle})
	}
	return desc
}

func (answer answerer) handle(s any, ctx context.Context, decode func(any) error, _ grpc.UnaryServerInterceptor) (any, error) {
	var q request
	if err := decode(&q); err != nil {
		return nil, err
	}
	a, err := answer(s.(*server), ctx, q)
	if err != nil {
		return nil, err
	}
	return a, nil
}
