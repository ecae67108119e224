package accesslog

import (
	"encoding/json"
	"errors"
	"fmt"
	"regexp"
	"strconv"
	"strings"
	"time"
)

// A format reads the fields of a line. Its errors do not quote the line, which may hold a secret.
type format struct {
	pattern *regexp.Regexp // nil: JSON
	fields  fields
	unit    time.Duration // of the duration; 0 if there is none
	seconds string        // the field of the duration
}

// The formats that Apache and most others know, with whatever stands behind them.
const (
	common   = `^(?P<host>\S+) \S+ \S+ \[[^\]]*\] "(?:(?P<method>[A-Z]+) (?P<path>[^" ]*)[^"]*|[^"]*)" (?P<status>\d{3}) (?:\d+|-)`
	combined = common + ` "(?:[^"\\]|\\.)*" "(?:[^"\\]|\\.)*"`
)

func newFormat(s settings) (format, error) {
	f := format{fields: s.Fields}
	var mistakes []error
	for _, d := range []struct {
		field string
		unit  time.Duration
	}{
		{s.Fields.Seconds, time.Second}, {s.Fields.Milliseconds, time.Millisecond},
		{s.Fields.Microseconds, time.Microsecond}, {s.Fields.Nanoseconds, time.Nanosecond},
	} {
		if d.field != "" && f.unit != 0 {
			mistakes = append(mistakes, errors.New("fields: a request has one duration (write one of seconds, milliseconds, microseconds and nanoseconds)"))
		}
		if d.field != "" {
			f.seconds, f.unit = d.field, d.unit
		}
	}
	pattern := s.Regexp
	switch {
	case pattern != "" && s.Format != "":
		mistakes = append(mistakes, errors.New("regexp: takes the place of format (write one of them)"))
	case s.Format == "common":
		pattern = common
	case s.Format == "combined":
		pattern = combined
	case pattern == "" && s.Format != "json":
		mistakes = append(mistakes, fmt.Errorf("format: %q is none (json, common, combined, or regexp in its place)", s.Format))
	}
	if pattern == "" {
		return f, errors.Join(mistakes...)
	}
	var err error
	if f.pattern, err = regexp.Compile(pattern); err != nil {
		return f, errors.Join(append(mistakes, fmt.Errorf("regexp: %w", err))...)
	}
	for _, field := range append([]string{s.Fields.Status, f.seconds, s.Fields.Arm}, s.Labels...) {
		if field != "" && f.pattern.SubexpIndex(field) < 0 {
			mistakes = append(mistakes, fmt.Errorf("fields: the lines have no %s (regexp needs a group (?P<%s>...), which common and combined may lack)", field, field))
		}
	}
	return f, errors.Join(mistakes...)
}

// A request is what a line says of one request to one instance.
type request struct {
	instance string // what the field of the arm holds
	status   string
	seconds  float64
	timed    bool
	field    func(name string) (string, bool) // of the line
}

// requests reads a line. A proxy that tried several instances for one request lists them, and if it lists their
// status too, each is a request of its own: what one has failed the next may have mended. Otherwise the line is about
// the last of them that is somebody. A request that reached no instance is none to any.
func (f format) requests(line []byte) ([]request, error) {
	field, err := f.split(line)
	if err != nil {
		return nil, err
	}
	get := func(name string) ([]string, error) {
		text, there := field(name)
		if !there {
			return nil, fmt.Errorf("it has no field %s", name)
		}
		return strings.Split(strings.ReplaceAll(text, " : ", ", "), ", "), nil
	}
	instances, durations := []string{""}, []string(nil)
	if f.fields.Arm != "" {
		if instances, err = get(f.fields.Arm); err != nil {
			return nil, err
		}
	}
	statuses, err := get(f.fields.Status)
	if err != nil {
		return nil, err
	}
	if len(statuses) != len(instances) {
		if len(statuses) > 1 {
			return nil, fmt.Errorf("its field %s holds %d statuses for %d instances", f.fields.Status, len(statuses), len(instances))
		}
		last := len(instances) - 1
		for last > 0 && nobody(instances[last]) {
			last--
		}
		instances = instances[last : last+1]
	}
	if f.unit != 0 {
		if durations, err = get(f.seconds); err != nil {
			return nil, err
		}
		if len(durations) != len(instances) {
			durations = durations[len(durations)-1:]
		}
	}
	var all []request
	for i, instance := range instances {
		if f.fields.Arm != "" && nobody(instance) {
			continue // the proxy answered by itself: a redirect, a file, a bad request
		}
		r := request{instance: instance, status: statuses[i], field: field}
		if code, err := strconv.Atoi(r.status); err != nil || code < 100 || code > 999 {
			return nil, fmt.Errorf("its field %s holds no status", f.fields.Status)
		}
		if f.unit != 0 && (len(durations) == len(instances) || i == len(instances)-1) {
			if r.seconds, r.timed, err = f.duration(durations[min(i, len(durations)-1)]); err != nil {
				return nil, err
			}
		}
		all = append(all, r)
	}
	return all, nil
}

// nobody says that no instance was asked.
func nobody(instance string) bool { return instance == "" || instance == "-" }

// duration reads how long a request took, in seconds. A dash is none: no instance was reached.
func (f format) duration(text string) (seconds float64, timed bool, err error) {
	if text == "-" || text == "" {
		return 0, false, nil
	}
	v, err := strconv.ParseFloat(text, 64)
	if seconds = v * f.unit.Seconds(); err != nil || !(seconds >= 0 && seconds < 1e9) {
		return 0, false, fmt.Errorf("its field %s holds no duration", f.seconds)
	}
	return seconds, true, nil
}

// split returns the fields of a line by their names.
func (f format) split(line []byte) (func(name string) (string, bool), error) {
	if f.pattern == nil {
		return splitJSON(line)
	}
	groups := f.pattern.FindSubmatch(line)
	if groups == nil {
		return nil, errors.New("it does not have the format of the set-up")
	}
	return func(name string) (string, bool) {
		i := f.pattern.SubexpIndex(name)
		if i < 0 {
			return "", false
		}
		return string(groups[i]), true
	}, nil
}

func splitJSON(line []byte) (func(name string) (string, bool), error) {
	var object map[string]json.RawMessage
	if err := json.Unmarshal(line, &object); err != nil || object == nil {
		return nil, errors.New("it is not an object of JSON")
	}
	return func(name string) (string, bool) {
		raw, there := object[name]
		var text string
		if json.Unmarshal(raw, &text) != nil {
			text = string(raw) // a number
		}
		return text, there
	}, nil
}
