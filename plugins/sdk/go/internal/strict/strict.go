// Package strict reads JSON exactly: integers keep all their digits, and what follows the value is
// an error.
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
