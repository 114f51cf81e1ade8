package result

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
)

// Parse reads what Write printed: one document, or an array of them.
func Parse(text []byte) ([]*Document, error) {
	text = bytes.TrimSpace(text)
	if len(text) == 0 {
		return nil, errors.New("the file is empty")
	}
	var docs []*Document
	if text[0] == '[' {
		if err := json.Unmarshal(text, &docs); err != nil {
			return nil, notJSON(err)
		}
	} else {
		d := &Document{}
		if err := json.Unmarshal(text, d); err != nil {
			return nil, notJSON(err)
		}
		docs = []*Document{d}
	}
	if len(docs) == 0 {
		return nil, errors.New("the array holds no document")
	}
	for i, d := range docs {
		if d == nil || d.Schema != Schema {
			got := ""
			if d != nil {
				got = d.Schema
			}
			return nil, fmt.Errorf("item %d is not a result document: its schema is %q, want %q (as run --format json prints it)", i, got, Schema)
		}
	}
	return docs, nil
}

// notJSON says where a document is wrong.
func notJSON(err error) error {
	if s := (*json.SyntaxError)(nil); errors.As(err, &s) {
		return fmt.Errorf("not JSON, at byte %d: %w", s.Offset, err)
	}
	return fmt.Errorf("not a result document: %w", err)
}
