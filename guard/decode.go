package guard

import (
	"bytes"
	"cmp"
	"encoding"
	"errors"
	"fmt"
	"io"
	"iter"
	"maps"
	"math"
	"reflect"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"unicode/utf8"

	"go.yaml.in/yaml/v3"
)

// ParsePlan reads a plan, completes it with defaults and validates it. The name of the file is for messages.
// The error is a *PlanError that holds every mistake of the file, not only the first.
func ParsePlan(file string, source []byte) (*Plan, error) {
	plan := Defaults()
	plan.file, plan.where = file, map[string]Position{}
	d := &draft{plan: &plan, wrong: map[string]bool{}, marred: map[string]bool{}}
	if root := d.parse(source); root != nil {
		d.read(root, "", reflect.ValueOf(&plan).Elem())
		plan.complete()
		d.validate()
	}
	if len(d.mistakes) > 0 {
		slices.SortStableFunc(d.mistakes, func(a, b Mistake) int { return a.Position.compare(b.Position) })
		return nil, &PlanError{File: file, Mistakes: d.mistakes}
	}
	return &plan, nil
}

// parse returns the one value of the file, or nil when there is none to go on with.
func (d *draft) parse(source []byte) *yaml.Node {
	d.plan.where[""] = Position{1, 1}
	if at := invalid(source); at >= 0 {
		line := 1 + bytes.Count(source[:at], []byte("\n"))
		d.reportAt(Position{line, 1}, "", "this is not UTF-8 text (save the file as UTF-8)")
		return nil
	}
	var first, second yaml.Node
	decoder := yaml.NewDecoder(bytes.NewReader(source))
	err := decoder.Decode(&first)
	if errors.Is(err, io.EOF) || err == nil && first.Content[0].ShortTag() == "!!null" {
		d.report("", "the plan is empty (golive init writes a first one)")
		return nil
	}
	if err == nil {
		err = decoder.Decode(&second)
	}
	switch {
	case errors.Is(err, io.EOF):
		return first.Content[0]
	case err == nil:
		d.reportAt(Position{second.Line, second.Column}, "", "a file holds one plan only (put the next document into a file of its own)")
	default:
		d.reportSyntax(source, err)
	}
	return nil
}

// invalid is the place of the first byte that is not UTF-8; -1: there is none.
func invalid(source []byte) int {
	for at := 0; at < len(source); {
		r, size := utf8.DecodeRune(source[at:])
		if r == utf8.RuneError && size == 1 {
			return at
		}
		at += size
	}
	return -1
}

// yamlLine is how the YAML library begins an error whose line it knows.
var yamlLine = regexp.MustCompile(`^line (\d+): `)

// reportSyntax reports what the YAML library could not read.
func (d *draft) reportSyntax(source []byte, err error) {
	text, line, lines := strings.TrimPrefix(err.Error(), "yaml: "), 1, bytes.Split(source, []byte("\n"))
	if known := yamlLine.FindStringSubmatch(text); known != nil {
		line, _ = strconv.Atoi(known[1])
		line = min(line, len(lines))
		text = strings.TrimPrefix(text, known[0])
	}
	content := bytes.TrimLeft(lines[line-1], " \t")
	indent := bytes.TrimSuffix(lines[line-1], content)
	hint := "check the indentation and the quotes"
	switch {
	case bytes.Contains(indent, []byte("\t")):
		hint = "indent with spaces, never with tabs"
	case strings.Contains(text, "anchor"):
		hint = "aliases are not followed: write the value out"
	}
	d.reportAt(Position{line, 1}, "", "this is not YAML: %s (%s)", text, hint)
}

// read takes one value over into v, which knows by its type what may be written there.
func (d *draft) read(n *yaml.Node, path string, v reflect.Value) {
	d.plan.where[path] = Position{n.Line, n.Column}
	text, isText := v.Addr().Interface().(encoding.TextUnmarshaler)
	switch kind := v.Kind(); {
	case len(path) > 500:
		d.reject(path, "this is nested too deeply (write it flatter)")
	case n.Kind == yaml.AliasNode:
		d.reject(path, "aliases are not followed (write the value out)")
	case n.Style&yaml.TaggedStyle != 0:
		d.reject(path, "the tag %s has no meaning here (remove it)", n.Tag)
	case kind == reflect.Interface:
		d.readFree(n, path, v)
	case n.ShortTag() == "!!null":
		d.reject(path, "there is no value (write one, or remove the key)")
	case kind == reflect.Pointer:
		v.Set(reflect.New(v.Type().Elem()))
		d.read(n, path, v.Elem())
	case isText && n.Kind == yaml.ScalarNode:
		if err := text.UnmarshalText([]byte(n.Value)); err != nil {
			d.reject(path, "%v", err)
		}
	case kind == reflect.Struct && n.Kind == yaml.MappingNode && !isText:
		d.readStruct(n, path, v)
	case kind == reflect.Struct && short(v.Type()) != "":
		key := short(v.Type())
		d.read(n, child(path, key), v.FieldByIndex(fieldsOf(v.Type())[key].Index))
	case kind == reflect.Map && n.Kind == yaml.MappingNode:
		d.readMap(n, path, v)
	case v.Type() == reflect.TypeFor[Names]() && n.Kind == yaml.ScalarNode:
		v.Set(reflect.MakeSlice(v.Type(), 1, 1))
		d.read(n, path+"[0]", v.Index(0))
	case kind == reflect.Slice && n.Kind == yaml.SequenceNode:
		v.Set(reflect.MakeSlice(v.Type(), len(n.Content), len(n.Content)))
		for i, item := range n.Content {
			d.read(item, fmt.Sprintf("%s[%d]", path, i), v.Index(i))
		}
	case n.Kind == yaml.ScalarNode && readScalar(n, v):
	default:
		d.reject(path, "this is %s, and has to be %s", found(n), wanted(v.Type()))
	}
}

// readFree takes over a value of any type, as encoding/json would: so a part that is linked in is given the
// very types that a plugin is given.
func (d *draft) readFree(n *yaml.Node, path string, v reflect.Value) {
	var typ reflect.Type
	switch tag := n.ShortTag(); tag {
	case "!!null":
		return
	case "!!map":
		typ = reflect.TypeFor[map[string]any]()
	case "!!seq":
		typ = reflect.TypeFor[[]any]()
	case "!!bool":
		typ = reflect.TypeFor[bool]()
	case "!!int", "!!float":
		typ = reflect.TypeFor[float64]()
	default:
		typ = reflect.TypeFor[string]()
	}
	value := reflect.New(typ).Elem()
	d.read(n, path, value)
	v.Set(value)
}

// readScalar reports whether it could take over the scalar.
func readScalar(n *yaml.Node, v reflect.Value) bool {
	tag := n.ShortTag()
	switch v.Kind() {
	case reflect.String:
		v.SetString(n.Value)
		return tag == "!!str" || tag == "!!timestamp"
	case reflect.Bool:
		return tag == "!!bool" && n.Decode(v.Addr().Interface()) == nil
	case reflect.Int:
		return tag == "!!int" && n.Decode(v.Addr().Interface()) == nil
	case reflect.Float64:
		if tag != "!!int" && tag != "!!float" || n.Decode(v.Addr().Interface()) != nil {
			return false
		}
		f := v.Float()
		return math.Abs(f) <= math.MaxFloat64 && (tag == "!!float" || math.Abs(f) < 1<<53)
	}
	return false
}

// readMap takes over keys that are not known in advance.
func (d *draft) readMap(n *yaml.Node, path string, v reflect.Value) {
	v.Set(reflect.MakeMap(v.Type()))
	for key, value := range d.entries(n, path) {
		element := reflect.New(v.Type().Elem()).Elem()
		d.read(value, child(path, key), element)
		v.SetMapIndex(reflect.ValueOf(key).Convert(v.Type().Key()), element)
	}
}

// readStruct takes over the keys that the type has fields for, and refuses all others.
func (d *draft) readStruct(n *yaml.Node, path string, v reflect.Value) {
	fields := fieldsOf(v.Type())
	for key, value := range d.entries(n, path) {
		at := child(path, key)
		f, known := fields[key]
		if !known {
			d.rejectKey(path, key, fields)
			continue
		}
		field := v.FieldByIndex(f.Index)
		d.read(value, at, field)
		if !d.intact(at) || field.Kind() != reflect.String {
			continue
		}
		if words := wordsOf(f); len(words) > 0 && !words[field.String()] {
			d.reject(at, "%q has no meaning here%s", field, suggest(field.String(), words))
		}
		if required(f) && strings.TrimSpace(field.String()) == "" {
			d.reject(at, "this is empty (write something)")
		}
	}
	for _, key := range slices.Sorted(maps.Keys(fields)) {
		if at := child(path, key); required(fields[key]) && !d.plan.Writes(at) {
			d.report(at, "this is missing (add %s: to %s)", key, cmp.Or(path, "the plan"))
		}
	}
}

// entries yields the keys and values of a mapping that can be read, and refuses the others.
func (d *draft) entries(n *yaml.Node, path string) iter.Seq2[string, *yaml.Node] {
	return func(yield func(string, *yaml.Node) bool) {
		seen := map[string]int{}
		for i := 0; i < len(n.Content); i += 2 {
			key, value := n.Content[i], n.Content[i+1]
			at, here := child(path, key.Value), Position{key.Line, key.Column}
			switch line, again := seen[key.Value]; {
			case key.ShortTag() == "!!merge":
				d.rejectAt(here, at, "merge keys are not followed (write the keys out)")
			case key.ShortTag() != "!!str":
				d.rejectAt(here, at, "a key has to be text (put it in quotes)")
			case again:
				d.rejectAt(here, at, "this key stands in line %d already (remove one)", line)
			default:
				seen[key.Value], d.plan.where[at] = key.Line, here
				if !yield(key.Value, value) {
					return
				}
			}
		}
	}
}

// rejectKey refuses a key that the plan has no place for.
func (d *draft) rejectKey(path, key string, fields map[string]reflect.StructField) {
	d.reject(child(path, key), "there is no such key%s", suggest(key, fields))
}

// fieldsOf maps the keys of a struct to its fields, embedded ones included.
func fieldsOf(t reflect.Type) map[string]reflect.StructField {
	fields := map[string]reflect.StructField{}
	for _, f := range reflect.VisibleFields(t) {
		if key, _, _ := strings.Cut(f.Tag.Get("json"), ","); f.IsExported() && key != "" {
			fields[key] = f
		}
	}
	return fields
}

// wordsOf are the only words that a field may hold; none: it is free.
func wordsOf(f reflect.StructField) map[string]bool {
	words := map[string]bool{}
	for _, word := range strings.Fields(f.Tag.Get("oneof")) {
		words[word] = true
	}
	return words
}

// required fields are those that encoding/json always writes.
func required(f reflect.StructField) bool {
	return !strings.Contains(f.Tag.Get("json"), ",omit")
}

// short is the key whose value may be written in place of the whole struct; empty: there is none.
func short(t reflect.Type) string {
	for key, f := range fieldsOf(t) {
		if f.Tag.Get("plan") == "short" {
			return key
		}
	}
	return ""
}

// found says what a node is.
func found(n *yaml.Node) string {
	switch n.ShortTag() {
	case "!!map":
		return "a mapping"
	case "!!seq":
		return "a list"
	case "!!int", "!!float":
		return "the number " + n.Value
	case "!!bool":
		return "the word " + n.Value
	}
	return fmt.Sprintf("the text %q", n.Value)
}

// wanted says what may be written for a type.
func wanted(t reflect.Type) string {
	switch t {
	case reflect.TypeFor[Duration]():
		return "a duration (try 30s, 10m, 2h, 7d)"
	case reflect.TypeFor[Share]():
		return "a share (try 5% or 0.02pp)"
	case reflect.TypeFor[Date]():
		return "a date (try 2026-11-24)"
	case reflect.TypeFor[Window]():
		return "a weekly time (try 24x7, or Mon-Thu 09:00-16:00 Asia/Shanghai)"
	}
	switch t.Kind() {
	case reflect.Struct, reflect.Map:
		return "a mapping (write key: value)"
	case reflect.Slice:
		return "a list (write [a, b], or a dash before each item)"
	case reflect.Int:
		return "a whole number (without quotes and unit)"
	case reflect.Float64:
		return "a number of at most 15 digits (in quotes if it is to be text)"
	case reflect.Bool:
		return "true or false"
	}
	return "text (put it in quotes)"
}
