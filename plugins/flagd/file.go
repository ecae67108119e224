package flagd

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"slices"
	"strconv"
	"strings"
)

// A value is a JSON value, and where it stands in its text, so that it can be changed with every other byte left alone.
type value struct {
	from, to int
	token    json.Token // of a text, a number, a boolean or null; [ or { of what holds others
	members  map[string]*value
	items    []*value
}

func (v *value) object() bool { return v != nil && v.token == json.Delim('{') }
func (v *value) array() bool  { return v != nil && v.token == json.Delim('[') }

// text is that of a text, and empty of anything else.
func (v *value) text() string {
	if v == nil {
		return ""
	}
	text, _ := v.token.(string)
	return text
}

// whole is a whole number that is not negative.
func (v *value) whole() (int64, bool) {
	if v == nil {
		return 0, false
	}
	number, _ := v.token.(json.Number)
	n, err := strconv.ParseInt(number.String(), 10, 64)
	return n, err == nil && n >= 0
}

// A reader reads values, and knows where they are.
type reader struct {
	text    []byte
	decoder *json.Decoder
}

// parse reads a text that is one JSON value.
func parse(text []byte) (*value, error) {
	r := reader{text, json.NewDecoder(bytes.NewReader(text))}
	r.decoder.UseNumber()
	v, err := r.next()
	if errors.Is(err, io.EOF) {
		err = errors.New("the JSON ends too early")
	}
	if err != nil {
		return nil, err
	}
	if _, err := r.decoder.Token(); !errors.Is(err, io.EOF) {
		return nil, errors.New("something follows the JSON")
	}
	return v, nil
}

func (r reader) next() (*value, error) {
	from := int(r.decoder.InputOffset())
	for from < len(r.text) && strings.IndexByte(" \t\r\n,:", r.text[from]) >= 0 {
		from++
	}
	token, err := r.decoder.Token()
	if err != nil {
		return nil, err
	}
	v := &value{from: from, token: token, members: map[string]*value{}}
	switch token {
	case json.Delim('{'):
		for r.decoder.More() {
			name, err := r.decoder.Token()
			if err != nil {
				return nil, err
			}
			key := name.(string) // or the decoder would have refused it
			if v.members[key] != nil {
				return nil, fmt.Errorf("%q is there twice", key)
			}
			if v.members[key], err = r.next(); err != nil {
				return nil, err
			}
		}
		_, err = r.decoder.Token()
	case json.Delim('['):
		for r.decoder.More() {
			item, err := r.next()
			if err != nil {
				return nil, err
			}
			v.items = append(v.items, item)
		}
		_, err = r.decoder.Token()
	}
	v.to = int(r.decoder.InputOffset())
	return v, err
}

// A change puts a text in the place of a part of another.
type change struct {
	from, to int
	text     string
}

// set changes a member of an object, or adds it as the first.
func set(object *value, key, text string) change {
	if old := object.members[key]; old != nil {
		return change{old.from, old.to, text}
	}
	text = quote(key) + ": " + text
	if len(object.members) > 0 {
		text += ", "
	}
	return change{object.from + 1, object.from + 1, text}
}

// apply makes changes that do not overlap; those in the same place come in their order.
func apply(text []byte, changes []change) []byte {
	slices.SortStableFunc(changes, func(a, b change) int { return a.from - b.from })
	var b bytes.Buffer
	at := 0
	for _, c := range changes {
		b.Write(text[at:c.from])
		b.WriteString(c.text)
		at = c.to
	}
	b.Write(text[at:])
	return b.Bytes()
}

func quote(text string) string {
	quoted, err := json.Marshal(text)
	if err != nil {
		panic(err) // a text can always be quoted
	}
	return string(quoted)
}
