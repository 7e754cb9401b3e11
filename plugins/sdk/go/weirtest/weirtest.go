//go:build !wasip1

// Package weirtest is for `go test`, where there is neither WebAssembly nor a host: what a plugin has
// written.
package weirtest

import (
	"weir/internal/memory"
	"weir/timers"
)

// ClearState forgets all state and all timers.
func ClearState() { memory.Clear() }

// TakeTimers is the timers that were set, in the order of their times. They are not set any more: hand
// them to OnTimer.
func TakeTimers() (due []*timers.Timer) {
	for _, timer := range memory.TakeTimers() {
		due = append(due, &timers.Timer{
			Key:   timer.Key,
			Tag:   timer.Tag,
			Clock: timers.Clock(timer.Clock),
			At:    timer.At,
		})
	}
	return due
}
