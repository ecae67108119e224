package server

import (
	"net/http"
	"reflect"
	"regexp"
	"strconv"
	"strings"
	"time"

	"github.com/golive-dev/golive/guard"
)

// describe answers the OpenAPI description, which is made of the table of routes: what is not served is not described.
func (s *Server) describe(w http.ResponseWriter, _ *http.Request) error {
	answer(w, http.StatusOK, s.openAPI())
	return nil
}

// object is a JSON object of the description.
type object map[string]any

var placeholder = regexp.MustCompile(`\{(\w+)\}`)

// queries are what can be said in the address, by path.
var queries = map[string][]string{
	"/v1/rollouts":             {"service", "environment", "open", "limit", "before"},
	"/v1/rollouts/{id}/events": {"after"},
}

func (s *Server) openAPI() object {
	paths := object{}
	for _, r := range s.routes() {
		operation := object{
			"summary":     r.title,
			"operationId": strings.ToLower(r.method) + strings.NewReplacer("/v1", "", "/", "_", "{", "", "}", "", ".", "_").Replace(r.path),
			"responses":   object{strconv.Itoa(r.status): described(r.title, r.answer), "default": described("what went wrong", trouble{})},
			"security":    []object{},
		}
		if r.right != "" {
			operation["security"] = []object{{"token": []string{}}}
			operation["x-golive-right"] = r.right
		}
		var parameters []object
		for _, name := range placeholder.FindAllStringSubmatch(r.path, -1) {
			parameters = append(parameters, object{"name": name[1], "in": "path", "required": true, "schema": object{"type": "string"}})
		}
		if r.method == http.MethodGet {
			for _, name := range queries[r.path] {
				parameters = append(parameters, object{"name": name, "in": "query", "schema": object{"type": "string"}})
			}
		} else {
			parameters = append(parameters, object{
				"name": "Idempotency-Key", "in": "header", "schema": object{"type": "string"},
				"description": "the same for every repeat of one request, with the same body: a repeat changes nothing",
			})
		}
		if parameters != nil {
			operation["parameters"] = parameters
		}
		if r.body != nil {
			operation["requestBody"] = object{"required": true, "content": object{"application/json": object{"schema": schemaOf(reflect.TypeOf(r.body))}}}
		}
		item, _ := paths[r.path].(object)
		if item == nil {
			item = object{}
			paths[r.path] = item
		}
		item[strings.ToLower(r.method)] = operation
	}
	for _, h := range s.Hooks {
		paths["/v1/hooks/"+h.Name+"/"] = object{"post": h.operation()}
	}
	return object{
		"openapi":    "3.1.0",
		"info":       object{"title": "golive", "version": "1", "description": "Open rollouts, follow them, and take them back."},
		"paths":      paths,
		"components": object{"securitySchemes": object{"token": object{"type": "http", "scheme": "bearer"}}},
	}
}

// operation describes a hook, of which the server knows neither what a tool sends nor what it may send below the path.
func (h Hook) operation() object {
	tool, _, _ := strings.Cut(h.Name, "/")
	operation := object{
		"summary":     "Hear " + h.Name,
		"description": "What is sent here and below, and what is answered, is described by the package plugins/" + tool + ".",
		"operationId": "post_hooks_" + strings.NewReplacer("/", "_", "-", "_").Replace(h.Name),
		"requestBody": object{"required": true, "content": object{"application/json": object{"schema": object{"type": "object"}}}},
		"responses":   object{"2XX": object{"description": "it was heard"}, "default": described("what went wrong", trouble{})},
	}
	if h.Signed {
		operation["security"] = []object{}
		operation["x-golive-signed"] = true // by the secret of the hook, which takes the place of a token
		return operation
	}
	operation["security"] = []object{{"token": []string{}}}
	operation["x-golive-right"] = Deliver
	return operation
}

func described(title string, value any) object {
	d := object{"description": title}
	if value != nil {
		d["content"] = object{"application/json": object{"schema": schemaOf(reflect.TypeOf(value))}}
	}
	return d
}

// schemaOf is the JSON schema of what encoding/json makes of a type.
func schemaOf(t reflect.Type) object {
	switch t {
	case reflect.TypeFor[time.Time]():
		return object{"type": "string", "format": "date-time"}
	case reflect.TypeFor[guard.Duration](), reflect.TypeFor[guard.Opinion](), reflect.TypeFor[guard.Verdict]():
		return object{"type": "string"}
	case reflect.TypeFor[guard.Fact]():
		return object{"type": "object"}
	}
	switch t.Kind() {
	case reflect.Pointer:
		return schemaOf(t.Elem())
	case reflect.Slice:
		return object{"type": "array", "items": schemaOf(t.Elem())}
	case reflect.Map:
		return object{"type": "object"}
	case reflect.String:
		return object{"type": "string"}
	case reflect.Bool:
		return object{"type": "boolean"}
	case reflect.Float64, reflect.Float32:
		return object{"type": "number"}
	case reflect.Struct:
		properties, required := object{}, []string{}
		for field := range fieldsOf(t) {
			name, options, _ := strings.Cut(field.Tag.Get("json"), ",")
			if name == "-" || name == "" {
				continue
			}
			properties[name] = schemaOf(field.Type)
			if !strings.Contains(options, "omit") {
				required = append(required, name)
			}
		}
		o := object{"type": "object", "properties": properties}
		if len(required) > 0 {
			o["required"] = required
		}
		return o
	}
	if t.Implements(reflect.TypeFor[interface{ MarshalText() ([]byte, error) }]()) {
		return object{"type": "string"}
	}
	return object{"type": "integer"}
}

// fieldsOf goes through the fields that JSON shows, those of embedded structs among them.
func fieldsOf(t reflect.Type) func(func(reflect.StructField) bool) {
	return func(yield func(reflect.StructField) bool) {
		for _, f := range reflect.VisibleFields(t) {
			if f.IsExported() && !f.Anonymous && !yield(f) {
				return
			}
		}
	}
}
