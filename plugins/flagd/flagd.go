// Package flagd moves users between two variants of a feature flag, in a file that flagd, OpenFeature's flag daemon, reads: both
// versions run, or both ways of one program, and the flag says who gets which.
//
//	{"flags": {"checkout": {
//	  "state": "ENABLED",
//	  "variants": {"old": "old", "new": "new"},
//	  "defaultVariant": "old",
//	  "targeting": {"fractional": [["new", 10], ["old", 90]]}
//	}}}
//
// Who has no targetingKey gets the default variant, which is the new one only at 100 %. The rule may stand inside of
// others; everything else in the file is left as it is. So a rule that gives the new variant to some, whatever the share, bars
// the way back, and one that gives the old variant keeps the share from 100 %. The highest order is kept in the flag's metadata,
// and an order that comes too late changes nothing.
package flagd

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"os"
	"path/filepath"
	"strconv"
	"time"

	"github.com/gofrs/flock"

	"github.com/golive-dev/golive/guard"
	"github.com/golive-dev/golive/plugins/internal/client"
	"github.com/golive-dev/golive/plugins/internal/files"
)

// Backend is one flag.
type Backend struct {
	file, flag     string
	canary, stable guard.Template
	evaluate       *url.URL // nil: what flagd serves is not asked for
	client         *http.Client
	timeout        time.Duration
}

var (
	_ guard.Backend = (*Backend)(nil)
	_ guard.Fencer  = (*Backend)(nil)
)

// NewBackend reads {file, flag, canary, stable, evaluate, timeout, headers} and the client settings of a Prometheus
// configuration. File is the one that flagd reads, and flag the name of the flag. Canary and stable are the variants of
// the new and of the old version, {{.To}} and {{.From}} unless said otherwise. Evaluate is the address of flagd's OFREP
// service, like http://localhost:8016: then it is asked for many users whether the share is in force, which has to be so
// within timeout, 10 seconds unless said otherwise.
func NewBackend(with guard.With) (guard.Backend, error) {
	config := struct {
		client.Settings
		File     string         `json:"file"`
		Flag     string         `json:"flag"`
		Canary   guard.Template `json:"canary"`
		Stable   guard.Template `json:"stable"`
		Evaluate string         `json:"evaluate"`
	}{Settings: client.Defaults(), Canary: "{{.To}}", Stable: "{{.From}}"}
	config.Timeout = guard.Duration(10 * time.Second)
	mistakes := []error{with.Decode(&config), config.Check()}
	if config.File == "" {
		mistakes = append(mistakes, errors.New("file: missing (the one that flagd reads: flagd start --uri file:FILE)"))
	}
	if config.Flag == "" {
		mistakes = append(mistakes, errors.New("flag: missing (the name of a flag in the file)"))
	}
	for key, template := range map[string]guard.Template{"canary": config.Canary, "stable": config.Stable} {
		if name, err := guard.Fill(template, guard.Release{From: "v1", To: "v2"}.Words()); err != nil || name == "" {
			mistakes = append(mistakes, fmt.Errorf("%s: %w", key, orMissing(err)))
		}
	}
	b := &Backend{file: config.File, flag: config.Flag, canary: config.Canary, stable: config.Stable, timeout: config.Timeout.Std()}
	var err error
	if config.Evaluate != "" {
		if b.evaluate, err = client.ParseURL(config.Evaluate); err != nil {
			mistakes = append(mistakes, fmt.Errorf("evaluate: the address %w", err))
		}
	}
	b.client, err = config.Client()
	if err := errors.Join(append(mistakes, err)...); err != nil {
		return nil, err
	}
	return b, nil
}

func orMissing(err error) error {
	if err == nil {
		err = errors.New("missing (the variant of that version)")
	}
	return err
}

// Inspect reads the file, and asks flagd whether it serves what stands there. The way back is open if the file can be
// locked and replaced, which is tried, and if no users would stay with the new variant.
func (b *Backend) Inspect(ctx context.Context, r guard.Release) (guard.Standing, error) {
	if ctx.Err() != nil {
		return guard.Standing{}, context.Cause(ctx)
	}
	f, err := b.read(r)
	if err != nil {
		return guard.Standing{}, err
	}
	percent, detail := f.share()
	if err := b.serves(ctx, f, percent); err != nil {
		return guard.Standing{}, err
	}
	if b.evaluate == nil {
		detail += "; not seen in force (evaluate is not set)"
	}
	s := guard.Standing{Percent: percent, Shares: f.shares(), Undo: guard.Undo{Open: true}, Detail: detail}
	if err := f.barred(); err != nil {
		s.Undo = guard.Undo{Detail: err.Error()}
	}
	return s, nil
}

// barred says what would keep golive from going back.
func (f *flag) barred() error {
	if f.aside[f.canary] {
		return errors.New(f.stay(f.canary))
	}
	lock := lockOf(f.path)
	if _, err := os.Stat(lock); err == nil {
		if err := writable(lock); err != nil {
			return err
		}
	}
	if err := writable(f.path); err != nil {
		return err
	}
	return files.Replaceable(f.path)
}

// lockOf is the file that whoever changes a file locks.
func lockOf(path string) string {
	return filepath.Join(filepath.Dir(path), "."+filepath.Base(path)+".golive-lock")
}

// Shift writes the weights of both variants, and the default variant, and reads them back. It may be repeated.
func (b *Backend) Shift(ctx context.Context, o guard.Order, percent int) error {
	path, err := filepath.EvalSymlinks(b.file)
	if err != nil {
		return err
	}
	// Whoever may replace the file has to be able to lock it, also after root did: so the lock gets its rights and its owner.
	if err := files.Beside(lockOf(path), path); err != nil {
		return err
	}
	lock := flock.New(lockOf(path), flock.SetFlag(os.O_RDWR))
	limited, cancel := context.WithTimeoutCause(ctx, b.timeout, fmt.Errorf("not done after %v", b.timeout))
	defer cancel()
	if _, err := lock.TryLockContext(limited, 50*time.Millisecond); err != nil {
		if limited.Err() != nil {
			err = context.Cause(limited)
		}
		return fmt.Errorf("lock %s: %w", lock.Path(), err)
	}
	err = b.write(o, percent)
	if err = errors.Join(err, lock.Unlock()); err != nil {
		return err
	}
	f, err := b.read(o.Release)
	if err != nil {
		return err
	}
	switch got, detail := f.share(); {
	case got == percent:
	case percent == 0 && f.aside[f.canary]:
		return fmt.Errorf("0%% was written to %s, but %s", b.file, f.stay(f.canary))
	case percent == 100 && f.aside[f.stable]:
		return fmt.Errorf("100%% was written to %s, but %s", b.file, f.stay(f.stable))
	default:
		return fmt.Errorf("%d%% was written to %s, and it says %d%% (%s): somebody else writes it too", percent, b.file, got, detail)
	}
	return b.becomes(limited, f, percent)
}

// Fences is enforced: the flag keeps the highest order in its metadata, and a lock is held from reading to writing it.
func (b *Backend) Fences() guard.Fence { return guard.FenceEnforced }

// Finish has nothing to do: who takes the flag out of the program takes it out of the file.
func (b *Backend) Finish(ctx context.Context, o guard.Order) error {
	return ctx.Err()
}

// write writes what an order says, if none came before that should have come after.
func (b *Backend) write(o guard.Order, percent int) error {
	f, err := b.read(o.Release)
	if err != nil {
		return err
	}
	if o.Fence < f.fence || o.Fence == f.fence && o.Seq < f.seq {
		return fmt.Errorf("the order %d/%d comes too late: the flag %s has obeyed %d/%d (take goliveFence out of its metadata if that cannot be)", o.Fence, o.Seq, b.flag, f.fence, f.seq)
	}
	text := f.with(o, percent)
	if _, err := parse(text); err != nil {
		return fmt.Errorf("%s would not be JSON any more: %w", b.file, err)
	}
	return files.Replace(f.path, text)
}

// A flag is what the file says of it.
type flag struct {
	path           string // of the file, behind symbolic links
	name           string
	text           []byte
	all            *value // of the flag
	canary, stable string // variants
	rule           *value // the fractional list of both; nil: there is none
	weights        map[string]int64
	aside          map[string]bool // variants that the targeting names outside the rule
	byDefault      string
	fence, seq     int64
}

// The keys of the flag's metadata that hold the highest order. flagd allows numbers there.
const fenceKey, seqKey = "goliveFence", "goliveSeq"

// read reads the flag, and refuses what would make the share mean something else.
func (b *Backend) read(r guard.Release) (*flag, error) {
	f := &flag{name: b.flag}
	var err error
	if f.path, err = filepath.EvalSymlinks(b.file); err != nil {
		return nil, err
	}
	if f.text, err = os.ReadFile(f.path); err != nil {
		return nil, err
	}
	if f.canary, err = guard.Fill(b.canary, r.Words()); err != nil {
		return nil, fmt.Errorf("canary: %w", err)
	}
	if f.stable, err = guard.Fill(b.stable, r.Words()); err != nil {
		return nil, fmt.Errorf("stable: %w", err)
	}
	root, err := parse(f.text)
	if err == nil {
		err = f.find(root)
	}
	if err != nil {
		return nil, fmt.Errorf("%s: %w", b.file, err)
	}
	return f, nil
}

func (f *flag) find(root *value) error {
	if !root.object() || !root.members["flags"].object() {
		return errors.New("there is no object of flags")
	}
	f.all = root.members["flags"].members[f.name]
	if !f.all.object() {
		return fmt.Errorf("there is no flag %s", f.name)
	}
	if state := f.all.members["state"].text(); state != "ENABLED" {
		return fmt.Errorf("the flag %s has the state %q: which variant counts then stands in the program (ENABLED lets the file decide)", f.name, state)
	}
	variants := f.all.members["variants"]
	for _, name := range []string{f.canary, f.stable} {
		if !variants.object() || variants.members[name] == nil {
			return fmt.Errorf("the flag %s has no variant %q", f.name, name)
		}
	}
	if f.canary == f.stable {
		return fmt.Errorf("both versions have the variant %s", f.canary)
	}
	f.byDefault = f.all.members["defaultVariant"].text()
	if f.byDefault != f.canary && f.byDefault != f.stable {
		return fmt.Errorf("the flag %s has the default variant %q, which is neither %s nor %s", f.name, f.byDefault, f.canary, f.stable)
	}
	if metadata := f.all.members["metadata"]; metadata.object() && metadata.members[fenceKey] != nil {
		var known, numbered bool
		f.fence, known = metadata.members[fenceKey].whole()
		f.seq, numbered = metadata.members[seqKey].whole()
		if !known || !numbered {
			return fmt.Errorf("the metadata of the flag %s has a %s or a %s that is no number", f.name, fenceKey, seqKey)
		}
	}
	targeting := f.all.members["targeting"]
	if targeting == nil || targeting.token == nil || targeting.object() && len(targeting.members) == 0 {
		return nil
	}
	if err := f.fractional(targeting); err != nil {
		return err
	}
	if f.rule == nil {
		return fmt.Errorf("the targeting of the flag %s has no fractional rule between %s and %s, and golive takes no other rule away (write it in: {\"fractional\": [[%s, 0], [%s, 100]]})",
			f.name, f.canary, f.stable, quote(f.canary), quote(f.stable))
	}
	f.aside = map[string]bool{}
	f.outside(targeting, root.members["$evaluators"])
	return nil
}

// outside notes what the targeting names outside the rule, also by way of a rule that several flags share. Any text, and
// true and false too, may be a variant that some users get whatever the share.
func (f *flag) outside(v, shared *value) {
	if v == nil || v == f.rule {
		return
	}
	for _, item := range v.items {
		f.outside(item, shared)
	}
	for key, member := range v.members {
		f.outside(member, shared)
		if key == "$ref" && shared.object() {
			f.outside(shared.members[member.text()], nil) // which refers to no other
		}
	}
	f.aside[fmt.Sprint(v.token)] = true
}

// stay says that some users may stay with a variant, and what to do about it.
func (f *flag) stay(variant string) string {
	return fmt.Sprintf("the targeting of the flag %s names %s outside the fractional rule, so some users may stay with it whatever the share (take it out, or let them have a variant of another name)", f.name, variant)
}

// shares are those that can be had, in percent; empty: any.
func (f *flag) shares() (shares []int) {
	if !f.aside[f.stable] {
		return nil
	}
	for percent := 1; percent < 100; percent++ {
		shares = append(shares, percent)
	}
	return shares
}

// fractional looks for the one rule between both variants.
func (f *flag) fractional(v *value) error {
	for _, item := range v.items {
		if err := f.fractional(item); err != nil {
			return err
		}
	}
	for key, member := range v.members {
		if err := f.fractional(member); err != nil {
			return err
		}
		if key != "fractional" || !member.array() {
			continue
		}
		weights := map[string]int64{}
		for i, item := range member.items {
			variant, weight, known := pair(item)
			if !known && i == 0 {
				continue // what users are told apart by
			}
			if _, twice := weights[variant]; !known || twice {
				return fmt.Errorf("the fractional rule of the flag %s has a share that is not like [%s, 10], or one variant twice", f.name, quote(f.canary))
			}
			weights[variant] = weight
		}
		_, canary := weights[f.canary]
		_, stable := weights[f.stable]
		switch {
		case !canary && !stable:
			continue // another rule
		case !canary || !stable || len(weights) != 2 || weights[f.canary]+weights[f.stable] == 0:
			return fmt.Errorf("a fractional rule of the flag %s is not between %s and %s alone", f.name, f.canary, f.stable)
		case f.rule != nil:
			return fmt.Errorf("the flag %s has two fractional rules between %s and %s", f.name, f.canary, f.stable)
		}
		f.rule, f.weights = member, weights
	}
	return nil
}

// pair reads ["variant", weight]; a weight that is not there is 1.
func pair(v *value) (variant string, weight int64, known bool) {
	if !v.array() || len(v.items) < 1 || len(v.items) > 2 || v.items[0].text() == "" {
		return "", 0, false
	}
	if len(v.items) == 1 {
		return v.items[0].text(), 1, true
	}
	weight, known = v.items[1].whole()
	return v.items[0].text(), weight, known && weight < 1<<31
}

// share is that of the new variant, in percent; a little is not nothing, and almost all is not all.
func (f *flag) share() (percent int, detail string) {
	canary, stable := f.weights[f.canary], f.weights[f.stable]
	if f.rule == nil {
		canary, stable = 0, 1
		if f.byDefault == f.canary {
			canary, stable = 1, 0
		}
	}
	detail = fmt.Sprintf("%s %d, %s %d, by default %s", f.canary, canary, f.stable, stable, f.byDefault)
	percent = int((200*canary + canary + stable) / (2 * (canary + stable)))
	if canary > 0 && percent == 0 || canary == 0 && (f.byDefault == f.canary || f.aside[f.canary]) {
		percent = 1
	}
	if stable > 0 && percent == 100 || stable == 0 && (f.byDefault == f.stable || f.aside[f.stable]) {
		percent = 99
	}
	for _, variant := range []string{f.canary, f.stable} {
		if f.aside[variant] {
			detail += "; " + f.stay(variant)
		}
	}
	if (f.byDefault == f.canary) != (stable == 0) {
		detail += "; that is not a default that golive set"
	}
	return percent, detail
}

// with is the file with another share, and the order that brought it.
func (f *flag) with(o guard.Order, percent int) []byte {
	byDefault := f.stable
	if percent == 100 {
		byDefault = f.canary
	}
	pairs := map[string]string{
		f.canary: fmt.Sprintf("[%s, %d]", quote(f.canary), percent),
		f.stable: fmt.Sprintf("[%s, %d]", quote(f.stable), 100-percent),
	}
	changes := []change{set(f.all, "defaultVariant", quote(byDefault))}
	if f.rule == nil {
		changes = append(changes, set(f.all, "targeting", fmt.Sprintf(`{"fractional": [%s, %s]}`, pairs[f.canary], pairs[f.stable])))
	} else {
		for _, item := range f.rule.items {
			if variant, _, known := pair(item); known {
				changes = append(changes, change{item.from, item.to, pairs[variant]})
			}
		}
	}
	fence, seq := strconv.FormatInt(o.Fence, 10), strconv.FormatInt(o.Seq, 10)
	switch metadata := f.all.members["metadata"]; {
	case !metadata.object():
		changes = append(changes, set(f.all, "metadata", fmt.Sprintf(`{"%s": %s, "%s": %s}`, fenceKey, fence, seqKey, seq)))
	case metadata.members[fenceKey] == nil && metadata.members[seqKey] == nil && len(metadata.members) == 0:
		changes = append(changes, change{metadata.from, metadata.to, fmt.Sprintf(`{"%s": %s, "%s": %s}`, fenceKey, fence, seqKey, seq)})
	default:
		changes = append(changes, set(metadata, fenceKey, fence), set(metadata, seqKey, seq))
	}
	return apply(f.text, changes)
}
