package main

import (
	"go/ast"
	"go/parser"
	"go/token"
	"io/fs"
	"reflect"
	"strings"

	"github.com/invopop/jsonschema"

	"github.com/golive-dev/golive/guard"
)

// planSchema is the JSON Schema of a plan, for editors. It is made from the types that ParsePlan reads into,
// their comments and their defaults, so it cannot fall behind them. It is the looser of the two: ParsePlan
// refuses whatever the schema refuses, and more.
func planSchema() *jsonschema.Schema {
	comments := typeComments(guard.Vocabulary)
	reflector := jsonschema.Reflector{
		ExpandedStruct: true,
		Anonymous:      true,
		Mapper:         quantitySchema,
		LookupComment: func(t reflect.Type, field string) string {
			return comments[strings.TrimSuffix(t.Name()+"."+field, ".")]
		},
	}
	schema := reflector.Reflect(guard.Plan{})
	schema.Title = "golive plan"
	refine(schema, schema.Definitions, reflect.ValueOf(guard.Defaults()), map[reflect.Type]bool{})
	return schema
}

// quantitySchema describes the types that are written as one word, and those that are maps.
func quantitySchema(t reflect.Type) *jsonschema.Schema {
	one := uint64(1)
	switch t {
	case reflect.TypeFor[guard.Duration]():
		return &jsonschema.Schema{AnyOf: []*jsonschema.Schema{
			{Type: "string", Pattern: guard.DurationPattern},
			{Const: 0},
		}}
	case reflect.TypeFor[guard.Share]():
		return &jsonschema.Schema{Type: "string", Pattern: guard.SharePattern}
	case reflect.TypeFor[guard.Date]():
		return &jsonschema.Schema{Type: "string", Pattern: guard.DatePattern, Format: "date"}
	case reflect.TypeFor[guard.Window]():
		return &jsonschema.Schema{Type: "string", Pattern: guard.WindowPattern}
	case reflect.TypeFor[guard.Clause]():
		return &jsonschema.Schema{Type: "string", Pattern: guard.ClausePattern}
	case reflect.TypeFor[guard.Rung]():
		return &jsonschema.Schema{Enum: rungs()}
	case reflect.TypeFor[guard.Names]():
		return &jsonschema.Schema{AnyOf: []*jsonschema.Schema{
			{Type: "string", MinLength: &one},
			{Type: "array", Items: &jsonschema.Schema{Type: "string", MinLength: &one}},
		}}
	case reflect.TypeFor[guard.Need](): // a plan can only make a check stricter
		return &jsonschema.Schema{Type: "string", Enum: []any{guard.Required.String()}}
	case reflect.TypeFor[guard.With]():
		return &jsonschema.Schema{Type: "object"}
	case reflect.TypeFor[guard.Reach]():
		return &jsonschema.Schema{
			Type:                 "object",
			MinProperties:        &one,
			MaxProperties:        &one,
			AdditionalProperties: &jsonschema.Schema{Type: "string", MinLength: &one},
		}
	}
	return nil
}

// refine adds what the reflector does not know of: words, defaults and short forms. The value holds the defaults.
func refine(schema *jsonschema.Schema, all jsonschema.Definitions, value reflect.Value, done map[reflect.Type]bool) {
	t := value.Type()
	if done[t] {
		return
	}
	done[t] = true
	for _, f := range reflect.VisibleFields(t) {
		key, options, _ := strings.Cut(f.Tag.Get("json"), ",")
		property, known := schema.Properties.Get(key)
		if !known {
			continue
		}
		field, element := value.FieldByIndex(f.Index), f.Type
		for element.Kind() == reflect.Slice || element.Kind() == reflect.Pointer {
			element = element.Elem()
		}
		switch nested := all[element.Name()]; {
		case nested != nil && element == f.Type:
			refine(nested, all, field, done)
		case nested != nil:
			refine(nested, all, reflect.New(element).Elem(), done)
		case !field.IsZero():
			property.Default = field.Interface()
		}
		for word := range strings.FieldsSeq(f.Tag.Get("oneof")) {
			property.Enum = append(property.Enum, word)
		}
		if f.Type.Kind() == reflect.String && options == "" {
			property.MinLength = new(uint64(1))
		}
		if f.Tag.Get("plan") == "short" {
			defer shorten(schema, property)
		}
	}
}

// shorten lets a property's value stand for the whole object.
func shorten(schema, property *jsonschema.Schema) {
	object := *schema
	*schema = jsonschema.Schema{
		Description: object.Description,
		OneOf:       []*jsonschema.Schema{property, &object},
	}
	object.Description = ""
}

// typeComments maps the names of types, and of fields as Type.Field, to their comments.
func typeComments(source fs.FS) map[string]string {
	comments := map[string]string{}
	note := func(name string, groups ...*ast.CommentGroup) {
		for _, group := range groups {
			comments[name] += strings.Join(strings.Fields(group.Text()), " ")
		}
	}
	err := fs.WalkDir(source, ".", func(file string, entry fs.DirEntry, err error) error {
		if err != nil || entry.IsDir() {
			return err
		}
		text, err := fs.ReadFile(source, file)
		if err != nil {
			return err
		}
		parsed, err := parser.ParseFile(token.NewFileSet(), file, text, parser.ParseComments|parser.SkipObjectResolution)
		if err != nil {
			return err
		}
		var declaration *ast.CommentGroup
		var typ string
		ast.Inspect(parsed, func(n ast.Node) bool {
			switch n := n.(type) {
			case *ast.GenDecl:
				declaration = n.Doc
			case *ast.TypeSpec:
				typ = n.Name.Name
				note(typ, declaration)
			case *ast.Field:
				for _, name := range n.Names {
					note(typ+"."+name.Name, n.Doc, n.Comment)
				}
			case *ast.FuncDecl, *ast.InterfaceType:
				return false
			}
			return true
		})
		return nil
	})
	if err != nil {
		panic(err) // it is the source of this very program
	}
	return comments
}

// rungs are the names of those steps of the ladder of assurance that may be asked for.
func rungs() (names []any) {
	for r := guard.RungListed; r <= guard.RungVerified; r++ {
		names = append(names, r.String())
	}
	return names
}
