// Package strict reads and writes JSON exactly: integers keep all their digits, what follows a value is
// an error, and no character is written as an escape that need not be.
package strict

import (
	"bytes"
	"encoding/json"
	"errors"
	"io"
	"strings"
)

// Unmarshal reads text into target; a field that target does not know is an error.
func Unmarshal(text []byte, target any) error {
	decoder := json.NewDecoder(bytes.NewReader(text))
	decoder.DisallowUnknownFields()
	return finish(decoder, target)
}

// UnmarshalKnown reads text into target and passes over the fields that target does not know.
func UnmarshalKnown(text []byte, target any) error {
	return finish(json.NewDecoder(bytes.NewReader(text)), target)
}

// Marshal writes value as JSON text.
func Marshal(value any) ([]byte, error) {
	var text bytes.Buffer
	encoder := json.NewEncoder(&text)
	encoder.SetEscapeHTML(false)
	if err := encoder.Encode(value); err != nil {
		return nil, err
	}
	return bytes.TrimSuffix(text.Bytes(), []byte("\n")), nil
}

func finish(decoder *json.Decoder, target any) error {
	decoder.UseNumber()
	err := decoder.Decode(target)
	if err == nil {
		var more json.RawMessage
		switch next := decoder.Decode(&more); {
		case next == io.EOF:
			return nil
		default:
			return errors.New("something follows the JSON value")
		}
	}
	if errors.Is(err, io.EOF) || errors.Is(err, io.ErrUnexpectedEOF) {
		return errors.New("the JSON text ends too early")
	}
	return errors.New(strings.TrimPrefix(err.Error(), "json: "))
}
