package guard

import (
	"errors"
	"fmt"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"unicode/utf8"
)

// A Selector names series in the way Prometheus does: the name of a metric and what its labels must be.
type Selector struct {
	Aggregation string // how several series become one: sum, min, max or avg; empty if the plan does not say
	Name        string // empty in the zero Selector, which selects nothing
	Matchers    []Matcher
}

// A Matcher is one condition on one label. A label that a series lacks is the empty string.
type Matcher struct {
	Label string
	Op    string // =, !=, =~ or !~
	Value string // a regular expression for =~ and !~, and it has to match the whole of the label

	re *regexp.Regexp
}

// A Selection is what one signal reads for one arm. Selectors that the signal has no use for are zero.
type Selection struct {
	Total, Bad, Histogram, Value Selector
}

// Select reads the selectors of a signal and fills in what differs between releases and arms: $version is the
// version that the arm runs, $canary the pattern of a label that only the canary has, and $service and $environment
// are those of the release. A first release has no baseline,
// so nothing is selected for it: version="" would select what has nothing to do with the release.
func (s Signal) Select(r Release, arm Arm) (Selection, error) {
	if arm == Baseline && r.First() {
		return Selection{}, nil
	}
	version, canary := r.To, ".+"
	if arm == Baseline {
		version, canary = r.From, ""
	}
	values := map[string]string{"version": version, "canary": canary, "service": r.Service, "environment": r.Environment}
	var selection Selection
	for _, field := range []struct {
		key  string
		text string
		to   *Selector
	}{
		{"total", s.Total, &selection.Total},
		{"bad", s.Bad, &selection.Bad},
		{"histogram", s.Histogram, &selection.Histogram},
		{"value", s.Value, &selection.Value},
	} {
		if field.text == "" {
			continue
		}
		selector, err := ParseSelector(field.text)
		if err == nil {
			*field.to, err = selector.fill(values)
		}
		if err != nil {
			return Selection{}, fmt.Errorf("signal %s: %s: %w", s.Name, field.key, err)
		}
	}
	return selection, nil
}

// The words of a selector.
var (
	call      = regexp.MustCompile(`(?s)^(\w+)\s*\((.*)\)$`)
	metric    = regexp.MustCompile(`^[A-Za-z_:][A-Za-z0-9_:]*`)
	condition = regexp.MustCompile(`^([A-Za-z_][A-Za-z0-9_]*)\s*(=~|!~|!=|=)\s*`)
)

var aggregations = []string{"sum", "min", "max", "avg"}

// ParseSelector reads name{a="b",c!="d",e=~"f.*",g!~"h"}, which one aggregation may enclose: sum(...).
// Anything else of PromQL is refused: golive takes raw counters and does the arithmetic itself.
func ParseSelector(text string) (Selector, error) {
	s, err := parseSelector(strings.TrimSpace(text))
	if err != nil {
		return Selector{}, err
	}
	tried, err := s.fill(variables)
	if err != nil {
		return Selector{}, err
	}
	for i, m := range tried.Matchers {
		if m.Value == s.Matchers[i].Value { // it holds no variable, and is of use at once
			s.Matchers[i] = m
		}
	}
	return s, nil
}

func parseSelector(rest string) (Selector, error) {
	var s Selector
	if enclosed := call.FindStringSubmatch(rest); enclosed != nil {
		s.Aggregation, rest = enclosed[1], strings.TrimSpace(enclosed[2])
		if !slices.Contains(aggregations, s.Aggregation) {
			return s, fmt.Errorf("there is no place for %s here (write the bare counter, at most within sum, min, max or avg)", s.Aggregation)
		}
	}
	s.Name = metric.FindString(rest)
	if s.Name == "" {
		return s, errors.New(`it has to begin with the name of a metric (try name{label="value"})`)
	}
	rest = strings.TrimSpace(rest[len(s.Name):])
	if inside, braces := strings.CutPrefix(rest, "{"); braces {
		var err error
		if s.Matchers, rest, err = parseMatchers(inside); err != nil {
			return s, err
		}
	}
	if rest != "" {
		return s, fmt.Errorf("golive cannot use %q after the selector (write the bare counter, without ranges and arithmetic)", rest)
	}
	return s, nil
}

// parseMatchers reads up to the closing brace and returns what follows it.
func parseMatchers(rest string) (matchers []Matcher, after string, err error) {
	for {
		rest = strings.TrimSpace(rest)
		if after, closed := strings.CutPrefix(rest, "}"); closed {
			return matchers, strings.TrimSpace(after), nil
		}
		words := condition.FindStringSubmatch(rest)
		if words == nil {
			return nil, "", fmt.Errorf(`there is no label="value" at %q`, rest)
		}
		m := Matcher{Label: words[1], Op: words[2]}
		if m.Label == "__name__" {
			return nil, "", errors.New("the name of the metric stands before the brace")
		}
		if m.Value, rest, err = parseQuoted(rest[len(words[0]):]); err != nil {
			return nil, "", fmt.Errorf("label %s: %w", m.Label, err)
		}
		matchers = append(matchers, m)
		rest = strings.TrimSpace(rest)
		if next, comma := strings.CutPrefix(rest, ","); comma {
			rest = next
		} else if !strings.HasPrefix(rest, "}") {
			return nil, "", fmt.Errorf("a comma or } is missing at %q", rest)
		}
	}
}

// parseQuoted reads a string in any of the three quotes that PromQL knows, and returns what follows it.
func parseQuoted(rest string) (value, after string, err error) {
	if raw, ok := strings.CutPrefix(rest, "`"); ok {
		value, after, ok = strings.Cut(raw, "`")
		if !ok {
			return "", "", errors.New("the closing ` is missing")
		}
		return value, after, nil
	}
	if rest == "" || rest[0] != '"' && rest[0] != '\'' {
		return "", "", errors.New("the value has to be quoted")
	}
	quote := rest[0]
	var b strings.Builder
	for rest = rest[1:]; rest != "" && rest[0] != quote; {
		r, multibyte, tail, err := strconv.UnquoteChar(rest, quote)
		if err != nil {
			return "", "", fmt.Errorf("%q is not a string (in a regular expression write \\\\ for \\)", rest)
		}
		if multibyte || r < utf8.RuneSelf {
			b.WriteRune(r)
		} else {
			b.WriteByte(byte(r)) // \xff is a byte, not a rune
		}
		rest = tail
	}
	if rest == "" {
		return "", "", fmt.Errorf("the closing %c is missing", quote)
	}
	return b.String(), rest[1:], nil
}

// variable is $name or ${name} within the value of a matcher.
var variable = regexp.MustCompile(`\$(?:([A-Za-z_]\w*)|\{(\w*)\})`)

// variables are the names that a matcher may hold, with values to try them out.
var variables = map[string]string{"version": "v", "canary": ".+", "service": "s", "environment": "e"}

// fill puts values in the place of variables. In a regular expression they stand for themselves, so that the dots of
// "1.2.3" match dots; all but $canary, which is one.
func (s Selector) fill(values map[string]string) (Selector, error) {
	s.Matchers = slices.Clone(s.Matchers)
	for i := range s.Matchers {
		m := &s.Matchers[i]
		regular := strings.HasSuffix(m.Op, "~")
		var unknown string
		m.Value = variable.ReplaceAllStringFunc(m.Value, func(name string) string {
			bare := strings.Trim(name, "${}")
			value, known := values[bare]
			switch {
			case !known || bare == "canary" && !regular:
				unknown = name
			case regular && bare != "canary":
				value = regexp.QuoteMeta(value)
			}
			return value
		})
		if unknown != "" {
			return Selector{}, fmt.Errorf("label %s: there is no variable %s (use $version, $service, $environment, or $canary behind =~)", m.Label, unknown)
		}
		if !regular {
			continue
		}
		_, err := regexp.Compile(m.Value) // alone, for "a)|(b" is none and must not become one by the brackets
		if err == nil {
			m.re, err = regexp.Compile("^(?s:" + m.Value + ")$")
		}
		if err != nil {
			return Selector{}, fmt.Errorf("label %s: %w", m.Label, err)
		}
	}
	return s, nil
}

// PerVersion says whether the selector holds $version or $canary. One that does not reads the same series for both arms,
// unless the source keeps the arms apart by itself.
func (s Selector) PerVersion() bool {
	return slices.ContainsFunc(s.Matchers, func(m Matcher) bool {
		return slices.ContainsFunc(variable.FindAllString(m.Value, -1), func(name string) bool {
			bare := strings.Trim(name, "${}")
			return bare == "version" || bare == "canary"
		})
	})
}

// Matches says whether a series with this name and these labels is selected. It follows the rules of Prometheus.
func (s Selector) Matches(name string, labels map[string]string) bool {
	if s.Name == "" || s.Name != name {
		return false
	}
	for _, m := range s.Matchers {
		if !m.matches(labels[m.Label]) {
			return false
		}
	}
	return true
}

func (m Matcher) matches(value string) bool {
	switch m.Op {
	case "=":
		return value == m.Value
	case "!=":
		return value != m.Value
	case "=~":
		return m.re != nil && m.re.MatchString(value)
	case "!~":
		return m.re != nil && !m.re.MatchString(value)
	}
	return false
}

// String writes the selector as PromQL.
func (s Selector) String() string {
	var b strings.Builder
	b.WriteString(s.Name)
	if len(s.Matchers) > 0 {
		b.WriteByte('{')
		for i, m := range s.Matchers {
			if i > 0 {
				b.WriteByte(',')
			}
			fmt.Fprintf(&b, "%s%s%q", m.Label, m.Op, m.Value)
		}
		b.WriteByte('}')
	}
	if s.Aggregation != "" {
		return s.Aggregation + "(" + b.String() + ")"
	}
	return b.String()
}
