// Package config looks up the operator's part of the pipeline file, for code that has no hold of
// what `configure` was given. Outside WebAssembly, for `go test`, there is nothing to find.
package config

import "weir/internal/strict"

// Get reads the value at a JSON pointer (RFC 6901; "" is the whole configuration). It is false where
// there is none, or it is not a T.
func Get[T any](pointer string) (value T, found bool) {
	text, found := get(pointer)
	if !found {
		return value, false
	}
	if err := strict.UnmarshalKnown([]byte(text), &value); err != nil {
		var none T
		return none, false
	}
	return value, true
}

// Pipeline is the pipeline's name.
func Pipeline() string { return pipeline() }

// Operator is the operator's name within the pipeline.
func Operator() string { return operator() }
