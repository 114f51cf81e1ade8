// Package conf reads and writes strict YAML configuration.
//
// It decodes YAML into Go structs through yaml.Node and reflection, and knows
// nothing of the schema it decodes: the structs are the schema. A mistake is
// reported with file, line, column, the offending line and the nearest valid
// name, all mistakes of a file at once. Values may come from three layers:
// preset documents lowest, the file above them, overrides of the command line
// on top. The result remembers where each value came from.
//
// A field takes part through its tag:
//
//	conf:"name"             key of the field; "-" leaves the field out
//	conf:"name,required"    the key must be present
//	conf:"name,key"         the field names its struct among the items of a list
//	conf:"name,omitempty"   an empty list is not printed
//	conf:"name,map"         a list written as a mapping from names to items
//	conf:"name,preset=NS"   may be written as the name of a preset of namespace NS
//	conf:",inline"          the fields of the embedded struct belong to this one
//	doc:"one sentence"      documentation
//
// Field types are bool, integers, strings, types with encoding.TextUnmarshaler
// and TextMarshaler (parsed from the scalar's text), string types with a method
// Values() []string (only those values are allowed), structs, pointers to
// these (optional), and slices of structs or scalars. Every exported field has
// a tag; a struct that breaks these rules is a programming error and panics.
//
// A list of structs is a named list where the struct has a key field, or a
// string field with key "name". Its items go by name in dotted paths (the
// others by index), two of one name are an error, and an item above a preset's
// item of the same name inherits what it leaves out. Any other list of a
// higher layer replaces the lower one as a whole.
//
// A preset document is a YAML mapping in which every value carries a comment
// "# source: ..." or "# estimated: ...", at the end of its line or on the lines
// above it. It may start from another of its namespace by a key "base".
//
// Left out: floating-point fields, Go maps, null, explicit tags (!!str), and
// more than one document in a file. Files over 4 MiB, nested deeper than 64
// levels, or growing past 100 000 values by their aliases are refused.
//
// Sources: the YAML 1.2.2 specification; its merge keys are YAML 1.1's type
// repository (https://yaml.org/type/merge.html).
package conf

// Source is a YAML file: its name as errors show it, and its bytes.
type Source struct {
	Name string
	Data []byte
}

// Presets provides preset documents by namespace and name.
type Presets interface {
	// Preset returns the document, and whether there is one.
	Preset(namespace, name string) (data []byte, ok bool)
	// Names lists the presets of a namespace.
	Names(namespace string) []string
}

// Defaulter is a struct with defaults of its own. SetDefaults is called on
// each list item and optional struct that decoding creates, before it is filled.
type Defaulter interface {
	SetDefaults()
}

// Provenance says where a value that a preset set comes from.
type Provenance struct {
	Path      string // dotted path of the setting
	Estimated bool   // an estimate, not a published or measured figure
	Note      string // what stands after "source:" or "estimated:"
}
