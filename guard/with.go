package guard

import (
	"cmp"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"reflect"
	"slices"
	"strings"
)

// Expand returns a copy of w in which ${NAME} stands no longer for itself but for what lookup says of NAME.
// Only values are expanded, never keys. $${ is a plain ${, for a shell to read; any other $ is left alone.
// Every name that is not set is an error. golive expands once, when it makes a part, so that neither a plan
// nor a journal holds what came from the environment. Templates are those of the plan alone: what a value
// holds is never taken for one.
func (w With) Expand(lookup func(name string) (value string, set bool)) (With, error) {
	var mistakes []error
	expanded := mapStrings("", map[string]any(w), func(path, text string) string {
		text, err := expand(text, lookup)
		if err != nil {
			mistakes = append(mistakes, fmt.Errorf("%s: %w", path, err))
		}
		return text
	})
	return With(expanded.(map[string]any)), errors.Join(mistakes...)
}

// mapStrings copies value and everything in it, with f applied to every string. Path says where the value is.
func mapStrings(path string, value any, f func(path, text string) string) any {
	switch value := value.(type) {
	case string:
		return f(path, value)
	case map[string]any:
		copied := make(map[string]any, len(value))
		for _, key := range slices.Sorted(maps.Keys(value)) {
			copied[key] = mapStrings(child(path, key), value[key], f)
		}
		return copied
	case []any:
		copied := make([]any, len(value))
		for i, v := range value {
			copied[i] = mapStrings(fmt.Sprintf("%s[%d]", path, i), v, f)
		}
		return copied
	default:
		return value
	}
}

func expand(text string, lookup func(string) (string, bool)) (string, error) {
	var b strings.Builder
	for {
		before, after, found := strings.Cut(text, "${")
		if !found {
			b.WriteString(text)
			return b.String(), nil
		}
		if before, escaped := strings.CutSuffix(before, "$"); escaped {
			b.WriteString(before + "${")
			text = after
			continue
		}
		name, rest, closed := strings.Cut(after, "}")
		if !closed {
			return "", errors.New("${ has no } (write $${ for a plain ${)")
		}
		if !isEnvName(name) {
			return "", fmt.Errorf("${%s} does not name an environment variable (write $${%s} to leave it to a shell)", name, name)
		}
		value, set := lookup(name)
		if !set {
			return "", fmt.Errorf("${%s} is not set in the environment (write $${%s} to leave it to a shell)", name, name)
		}
		b.WriteString(before + strings.ReplaceAll(value, "{", literalBrace))
		text = rest
	}
}

func isEnvName(name string) bool {
	for i, r := range name {
		letter := r == '_' || 'a' <= r && r <= 'z' || 'A' <= r && r <= 'Z'
		if !letter && (i == 0 || r < '0' || r > '9') {
			return false
		}
	}
	return name != ""
}

// MarshalJSON writes what w says; a plugin, for one, reads that.
func (w With) MarshalJSON() ([]byte, error) {
	return json.Marshal(mapStrings("", map[string]any(w), func(_, text string) string { return plain(text) }))
}

// Decode stores w in the struct that into points to, by its json tags. It is strict: a key that the struct
// does not have, and a value that does not fit, are errors. All of them are reported, each with its key.
// What w does not mention keeps its value, so a maker puts its defaults into the struct first.
func (w With) Decode(into any) error {
	return decode("", map[string]any(w), reflect.ValueOf(into).Elem())
}

func decode(path string, from any, into reflect.Value) error {
	_, custom := into.Addr().Interface().(interface{ UnmarshalText([]byte) error })
	switch from := from.(type) {
	case map[string]any:
		if into.Kind() == reflect.Pointer && into.Type().Elem().Kind() == reflect.Struct {
			into.Set(reflect.New(into.Type().Elem()))
			into = into.Elem()
		}
		if into.Kind() == reflect.Struct && !custom {
			return decodeStruct(path, from, into)
		}
		if into.Kind() == reflect.Map && into.Type().Key().Kind() == reflect.String && !custom {
			return decodeMap(path, from, into)
		}
	case []any:
		if into.Kind() == reflect.Slice {
			return decodeSlice(path, from, into)
		}
	}
	if into.Type() != reflect.TypeFor[Template]() {
		from = mapStrings(path, from, func(_, text string) string { return plain(text) })
	}
	text, err := json.Marshal(from)
	if err != nil {
		return fmt.Errorf("%s: %w", path, err)
	}
	err = json.Unmarshal(text, into.Addr().Interface())
	var mismatch *json.UnmarshalTypeError
	switch {
	case errors.As(err, &mismatch):
		return fmt.Errorf("%s: %s is not %s", path, text, describe(into.Type()))
	case err != nil:
		return fmt.Errorf("%s: %w", path, err)
	}
	return nil
}

func decodeStruct(path string, from map[string]any, into reflect.Value) error {
	fields := make(map[string]reflect.Value)
	for _, field := range reflect.VisibleFields(into.Type()) {
		name, _, _ := strings.Cut(field.Tag.Get("json"), ",")
		if name != "" && name != "-" {
			fields[name] = into.FieldByIndex(field.Index)
		}
	}
	var mistakes []error
	for _, key := range slices.Sorted(maps.Keys(from)) {
		field, known := fields[key]
		if !known {
			mistakes = append(mistakes, fmt.Errorf("%s: there is no such key%s", child(path, key), suggest(key, fields)))
			continue
		}
		mistakes = append(mistakes, decode(child(path, key), from[key], field))
	}
	return errors.Join(mistakes...)
}

func decodeMap(path string, from map[string]any, into reflect.Value) error {
	into.Set(reflect.MakeMap(into.Type()))
	var mistakes []error
	for _, key := range slices.Sorted(maps.Keys(from)) {
		value := reflect.New(into.Type().Elem()).Elem()
		mistakes = append(mistakes, decode(child(path, key), from[key], value))
		into.SetMapIndex(reflect.ValueOf(key).Convert(into.Type().Key()), value)
	}
	return errors.Join(mistakes...)
}

func decodeSlice(path string, from []any, into reflect.Value) error {
	into.Set(reflect.MakeSlice(into.Type(), len(from), len(from)))
	var mistakes []error
	for i, value := range from {
		mistakes = append(mistakes, decode(fmt.Sprintf("%s[%d]", path, i), value, into.Index(i)))
	}
	return errors.Join(mistakes...)
}

// describe says in a reader's words what a type wants.
func describe(t reflect.Type) string {
	switch t.Kind() {
	case reflect.String:
		return "text (put it in quotes)"
	case reflect.Bool:
		return "true or false"
	case reflect.Int, reflect.Int64:
		return "a whole number"
	case reflect.Float64:
		return "a number"
	case reflect.Slice:
		return "a list"
	}
	return "a mapping of keys to values"
}

// suggest ends a message about a word that is not known: with the one that was probably meant, or with all.
func suggest[V any](word string, known map[string]V) string {
	names := slices.Sorted(maps.Keys(known))
	if len(names) == 0 {
		return ""
	}
	nearest := slices.MinFunc(names, func(a, b string) int {
		return cmp.Compare(edits(word, a), edits(word, b))
	})
	if edits(word, nearest) <= (len(word)+2)/3 {
		return fmt.Sprintf(" (did you mean %s?)", nearest)
	}
	return fmt.Sprintf(" (there are: %s)", strings.Join(names, ", "))
}

// edits counts the letters to add, drop or change to make b from a, where upper and lower case are the same.
func edits(a, b string) int {
	a, b = strings.ToLower(a), strings.ToLower(b)
	row := make([]int, len(b)+1)
	for j := range row {
		row[j] = j
	}
	for i := range len(a) {
		diagonal := row[0]
		row[0] = i + 1
		for j := range len(b) {
			change := diagonal
			if a[i] != b[j] {
				change++
			}
			diagonal = row[j+1]
			row[j+1] = min(change, row[j]+1, row[j+1]+1)
		}
	}
	return row[len(b)]
}
