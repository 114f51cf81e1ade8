package scenario

import (
	"socsim/internal/schema"
	"socsim/soc/presets"
)

// Schema is the language as a JSON Schema.
func Schema() ([]byte, error) {
	return schema.JSON(schema.Document{
		ID:          "urn:socsim:scenario:v1",
		Title:       "socsim scenario, " + APIVersion,
		Description: "Written by socsim schema from the keys that the decoder reads.",
		Composed:    true,
	}, Describe(), presets.Set{}.Names)
}
