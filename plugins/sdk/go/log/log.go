// Package log writes to the host's log. Entries have the pipeline's and the operator's name on
// them, and are rate limited.
package log

import (
	"fmt"
	"strings"
)

// A Level is how much an entry matters.
type Level uint32

const (
	// LevelTrace is for what only the author of the plugin wants to see.
	LevelTrace Level = iota
	// LevelDebug is for what helps to find out why.
	LevelDebug
	// LevelInfo is for what whoever runs the pipeline wants to know.
	LevelInfo
	// LevelWarn is for what whoever runs the pipeline should look at.
	LevelWarn
	// LevelError is for what whoever runs the pipeline must look at.
	LevelError
)

// Enabled tells whether entries of this level go anywhere. The functions here ask by themselves,
// before they format.
func Enabled(level Level) bool { return enabled(level) }

// Write writes one entry as it is.
func Write(level Level, text string) { write(level, strings.ToValidUTF8(text, "\uFFFD")) }

// Tracef writes an entry that only the author of the plugin wants to see.
func Tracef(format string, values ...any) { writef(LevelTrace, format, values) }

// Debugf writes an entry that helps to find out why.
func Debugf(format string, values ...any) { writef(LevelDebug, format, values) }

// Infof writes an entry that whoever runs the pipeline wants to know.
func Infof(format string, values ...any) { writef(LevelInfo, format, values) }

// Warnf writes an entry that whoever runs the pipeline should look at.
func Warnf(format string, values ...any) { writef(LevelWarn, format, values) }

// Errorf writes an entry that whoever runs the pipeline must look at. It makes no error.
func Errorf(format string, values ...any) { writef(LevelError, format, values) }

func writef(level Level, format string, values []any) {
	if Enabled(level) {
		Write(level, fmt.Sprintf(format, values...))
	}
}
