// Package timers is calls that the host makes later: of OnTimer, exactly once for each timer.
//
// A timer is known by its key and tag; setting it again moves it. Its key is that of the message or
// the timer at hand, as for weir/state, and it is not called if the values of the key are gone when it
// is due.
//
// Outside WebAssembly, for `go test`, timers are kept in memory, and the clocks stand at 0: see
// weir/weirtest.
package timers

import (
	"errors"
	"strings"
	"time"
)

// A Clock is what a timer follows.
type Clock uint32

const (
	// EventTime is the watermark: messages with earlier event times are not expected any more.
	EventTime Clock = iota
	// ProcessingTime is the clock of the job. It follows the wall clock and never steps.
	ProcessingTime
)

// A Timer is one that is due. It is not set any more.
type Timer struct {
	// Key is what it belongs to, and the key of what OnTimer returns.
	Key string
	// Tag is what it was set for.
	Tag   string
	Clock Clock
	// At is when it was set to fire, in nanoseconds since the Unix epoch.
	At uint64
}

// Now is the time of a clock, in nanoseconds since the Unix epoch. The watermark is 0 until there is
// one.
func Now(clock Clock) uint64 { return now(clock) }

// Set makes a timer fire once a clock has reached at, in nanoseconds since the Unix epoch. It is an
// error if the state of the partition has no room for it: return it, to reject the message.
func Set(key, tag string, clock Clock, at uint64) error {
	if reason, refused := set(valid(key), valid(tag), clock, at); refused {
		return errors.New(reason)
	}
	return nil
}

// SetAfter makes a timer fire after this long by the clock of the job.
func SetAfter(key, tag string, delay time.Duration) error {
	return Set(key, tag, ProcessingTime, Now(ProcessingTime)+uint64(max(0, delay)))
}

// Cancel cancels a timer, if it is set.
func Cancel(key, tag string) { cancel(valid(key), valid(tag)) }

// What is not UTF-8 would end the call.
func valid(text string) string { return strings.ToValidUTF8(text, "\uFFFD") }
