package main

import (
	"bytes"
	"encoding"
	"encoding/json"
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"reflect"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/santhosh-tekuri/jsonschema/v6"
	"github.com/stretchr/testify/require"

	"github.com/so-mirror/mirror"
	"github.com/so-mirror/mirror/heal"
	"github.com/so-mirror/mirror/replica"
	"github.com/so-mirror/mirror/store"
)

// schemas are the documents of -o json, by the commands that write them.
var schemas = []struct {
	file     string
	commands string
	document any
}{
	{"status.json", "status", mirror.Status{}},
	{"report.json", "compare and recheck", mirror.Report{}},
	{"plan.json", "plan", mirror.Plan{}},
	{"change.json", "apply, reset and hard-reset", change{}},
	{"undo.json", "undo", undoing{}},
	{"wait.json", "wait", heal.WaitReport{}},
	{"heal.json", "heal", heal.Report{}},
	{"reconcile.json", "reconcile", reconciliation{}},
	{"preflight.json", "preflight", preflightDocument{}},
	{"validate.json", "validate", replica.Report{}},
	{"fleet.json", "fleet status, fleet compare and fleet plan", fleetDocument{}},
	{"cycle.json", "cycle", cycleDocument{}},
	{"version.json", "version", version{}},
}

// object is a part of a JSON schema.
type object = map[string]any

// drawer draws JSON schemas of Go types, as encoding/json writes them.
type drawer struct {
	t    *testing.T
	defs object
}

// schemaOf is the schema of a document.
func schemaOf(t *testing.T, commands string, document any) []byte {
	t.Helper()
	d := &drawer{t: t, defs: object{}}
	schema := d.of(reflect.TypeOf(document))
	schema = object{
		"$schema": "https://json-schema.org/draft/2020-12/schema",
		"title":   "mirrorctl " + commands + " -o json",
		"$ref":    schema["$ref"], "$defs": d.defs,
	}
	data, err := json.MarshalIndent(schema, "", "  ")
	require.NoError(t, err)
	return append(data, '\n')
}

var (
	textType  = reflect.TypeFor[encoding.TextMarshaler]()
	jsonType  = reflect.TypeFor[json.Marshaler]()
	number64  = object{"type": "number"}
	plainText = object{"type": "string"}
)

// of is the schema of a type. What writes its JSON itself has to be known here.
func (d *drawer) of(t reflect.Type) object {
	switch {
	case t == reflect.TypeFor[time.Time]():
		return object{"type": "string", "format": "date-time"}
	case t.Kind() == reflect.Pointer:
		return d.of(t.Elem())
	case t.Kind() == reflect.Struct:
		return d.named(t)
	case t.Implements(jsonType):
		require.FailNow(d.t, "the JSON form of this type is not known", t.String())
	case t.Implements(textType):
		return plainText
	}
	switch t.Kind() {
	case reflect.Bool:
		return object{"type": "boolean"}
	case reflect.Int, reflect.Int8, reflect.Int16, reflect.Int32, reflect.Int64, reflect.Uint, reflect.Uint8, reflect.Uint16, reflect.Uint32, reflect.Uint64:
		return object{"type": "integer"}
	case reflect.Float64:
		return number64
	case reflect.String:
		return plainText
	case reflect.Slice, reflect.Array:
		return object{"type": "array", "items": d.of(t.Elem())}
	case reflect.Map:
		return object{"type": "object", "additionalProperties": d.of(t.Elem())}
	case reflect.Interface:
		return object{}
	}
	require.FailNow(d.t, "no JSON has this type", t.String())
	return nil
}

// named draws a struct once, under its name.
func (d *drawer) named(t reflect.Type) object {
	require.NotEmpty(d.t, t.Name(), "a type without a name: %s", t)
	name := strings.ReplaceAll(strings.TrimPrefix(t.String(), "main."), ".", "_")
	ref := object{"$ref": "#/$defs/" + name}
	if _, there := d.defs[name]; there {
		return ref
	}
	d.defs[name] = nil // so that a type may hold itself
	properties, required := object{}, []string{}
	add := func(name string, schema object, always bool) {
		properties[name] = schema
		if always {
			required = append(required, name)
		}
	}
	d.fields(t, add)
	switch t {
	case reflect.TypeFor[mirror.TableReport]():
		trace, _ := t.FieldByName("trace")
		d.fields(trace.Type, add)
		add("elapsed", number64, true)
	case reflect.TypeFor[mirror.Checkpoint]():
		clear(properties)
		required = nil
		add("version", object{"type": "integer"}, true)
		add("contextId", plainText, true)
		add("time", d.of(reflect.TypeFor[time.Time]()), true)
		for _, name := range []string{"source", "mirror"} {
			field, _ := t.FieldByName(name)
			add(name, d.of(field.Type), false)
		}
		tables, _ := t.FieldByName("tables")
		add("tables", orNull(d.of(tables.Type)), true)
	case reflect.TypeFor[store.Cell]():
		clear(properties)
		required = nil
		add("column", plainText, true)
		add("type", plainText, true)
		add("value", plainText, false)
		add("size", object{"type": "integer"}, false)
		add("verbatim", object{"type": "boolean"}, false)
	case reflect.TypeFor[heal.WaitTable]():
		add("remaining", number64, false)
	default:
		if t.Implements(jsonType) {
			require.FailNow(d.t, "the JSON form of this type is not known", t.String())
		}
	}
	slices.Sort(required)
	d.defs[name] = object{"type": "object", "properties": properties, "required": required, "additionalProperties": false}
	return ref
}

func orNull(schema object) object {
	return object{"anyOf": []object{schema, {"type": "null"}}}
}

// fields draws the fields of a struct, those of embedded ones as its own.
func (d *drawer) fields(t reflect.Type, add func(name string, schema object, always bool)) {
	for i := range t.NumField() {
		f := t.Field(i)
		tag := f.Tag.Get("json")
		name, options, _ := strings.Cut(tag, ",")
		inner := f.Type
		if inner.Kind() == reflect.Pointer {
			inner = inner.Elem()
		}
		switch {
		case tag == "-" || !f.IsExported() && !f.Anonymous:
			continue
		case f.Anonymous && name == "" && inner.Kind() == reflect.Struct:
			d.fields(inner, add)
			continue
		case name == "":
			name = f.Name
		}
		schema, left := d.of(f.Type), strings.Contains(options, "omitempty") || strings.Contains(options, "omitzero")
		if strings.Contains(options, "string") {
			schema = plainText
		}
		if nilable := slices.Contains([]reflect.Kind{reflect.Pointer, reflect.Slice, reflect.Map}, f.Type.Kind()); nilable && !left {
			schema = orNull(schema)
		}
		add(name, schema, !left)
	}
}

// The schemas beside the program are those of its documents.
func TestSchemasAreCurrent(t *testing.T) {
	for _, s := range schemas {
		t.Run(s.file, func(t *testing.T) {
			path := filepath.Join("schema", s.file)
			want := schemaOf(t, s.commands, s.document)
			if *update {
				require.NoError(t, os.WriteFile(path, want, 0o644)) //nolint:gosec // everybody may read it
			}
			got, err := os.ReadFile(path)
			require.NoError(t, err)
			require.Equal(t, string(want), string(got), "run go test ./examples/mirrorctl -run Schemas -update")
		})
	}
	found, err := filepath.Glob("schema/*.json")
	require.NoError(t, err)
	require.Len(t, found, len(schemas))
}

// validated runs a command with -o json, and holds its document against a schema.
func validated(t *testing.T, dir, file string, code int, args ...string) []byte {
	t.Helper()
	var out, errs bytes.Buffer
	env := map[string]string{envState: filepath.Join(dir, "state")}
	a := &app{in: strings.NewReader(""), out: &out, err: &errs, env: func(name string) string { return env[name] }, width: 80}
	got := a.run(t.Context(), append(args, "-o", "json", "--quiet"))
	require.Equal(t, code, got, "%s: %s%s", args, &errs, &out)
	schema, err := jsonschema.NewCompiler().Compile(filepath.Join("schema", file))
	require.NoError(t, err)
	document, err := jsonschema.UnmarshalJSON(bytes.NewReader(out.Bytes()))
	require.NoError(t, err)
	require.NoError(t, schema.Validate(document), "%s: %s", args, &out)
	return out.Bytes()
}

// Every command's document is what its schema says.
func TestDocuments(t *testing.T) {
	dir := t.TempDir()
	require.NoError(t, makeWorld(t.Context(), dir, []string{"lost", "old"}))
	at := func(name string) string { return filepath.Join(dir, name) }
	both := []string{"--source", at("customer.db"), "--mirror", at("mirror.db"), "--context", "Cust1"}
	one := []string{"--mirror", at("mirror.db"), "--context", "Cust1"}
	run := func(file string, code int, where []string, args ...string) []byte {
		t.Helper()
		return validated(t, dir, file, code, append(args, where...)...)
	}
	run("version.json", exitDone, nil, "version")
	run("status.json", exitDone, one, "status")
	run("preflight.json", exitDone, both, "preflight")
	run("report.json", exitUnknown, both, "compare", "--save", at("report.json"))
	run("report.json", exitIncomplete, both, "compare", "--max-duration", "1ns")
	run("report.json", exitUnknown, both, "recheck", at("report.json"))
	run("plan.json", exitUnknown, both, "plan", at("report.json"), "--save", at("plan.json"))
	run("change.json", exitDone, one, "apply", at("plan.json"), "--unknown", "--confirm", "Cust1")
	run("undo.json", exitDone, one, "undo")
	run("change.json", exitDone, one, "reset", "contact")
	run("reconcile.json", exitDone, one, "reconcile")
	run("cycle.json", exitDone, both, "cycle")
	run("wait.json", exitDone, one, "wait", "--table", "contact")
	run("change.json", exitDone, one, "hard-reset", "--table", "person", "--confirm", "Cust1")
	run("cycle.json", exitDone, both, "cycle")
	run("heal.json", exitDone, both, "heal", "--confirm", "Cust1")

	require.NoError(t, makeCustomer(t.Context(), dir, "Cust2", []string{"lost"}))
	require.NoError(t, os.WriteFile(at("fleet.yaml"), []byte("source: '{{context}}.source.db'\nmirror: '{{context}}.mirror.db'\nmembers: [Cust2, {context: Cust3, mirror: nowhere.db}]\n"), 0o600))
	for _, command := range []string{"status", "compare", "plan"} {
		run("fleet.json", exitError, []string{"--config", at("fleet.yaml")}, "fleet", command)
	}
	run("fleet.json", exitDone, []string{"--config", at("fleet.yaml")}, "fleet", "status", "--shard", emptyShard("Cust2", "Cust3"))

	require.NoError(t, os.Rename(at("mirror.db"), at("old.db")))
	require.NoError(t, makeReplica(t.Context(), dir, nil))
	run("validate.json", exitDone, nil, "validate", "--reference", at("old.db"), "--replica", at("new.db"), "--max-wait", "-1s")
}

// emptyShard is a part of three in which no customer is.
func emptyShard(ids ...string) string {
	for i := range 3 {
		if s := (shard{i, 3}); !slices.ContainsFunc(ids, s.has) {
			return s.String()
		}
	}
	panic("there is none")
}

// A document that is not what the schema says is found.
func TestSchemasAreStrict(t *testing.T) {
	schema, err := jsonschema.NewCompiler().Compile("schema/version.json")
	require.NoError(t, err)
	document := map[string]any{}
	require.NoError(t, json.Unmarshal(validated(t, t.TempDir(), "version.json", exitDone, "version"), &document))
	require.NoError(t, schema.Validate(document))
	for _, key := range slices.Collect(maps.Keys(document)) {
		other := maps.Clone(document)
		other[key+"s"] = 1
		require.Error(t, schema.Validate(other), fmt.Sprint(key, "s is no property"))
	}
	require.Error(t, schema.Validate(map[string]any{}))
}
