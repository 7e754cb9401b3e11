//go:build !wasip1

// Package memory is the host's side of state and timers outside WebAssembly: maps of the process.
package memory

import (
	"cmp"
	"maps"
	"slices"
	"strings"
	"sync"
)

type place struct{ key, name string }

// A Timer is one that was set.
type Timer struct {
	Key, Tag string
	Clock    uint32
	At       uint64
}

var (
	lock   sync.Mutex
	values = map[place][]byte{}
	timers = map[place]Timer{}
)

// Clear forgets everything.
func Clear() {
	lock.Lock()
	defer lock.Unlock()
	clear(values)
	clear(timers)
}

// Get is the value under a key and a name, and whether there is one.
func Get(key, name string) ([]byte, bool) {
	lock.Lock()
	defer lock.Unlock()
	value, found := values[place{key, name}]
	return slices.Clone(value), found
}

// Set sets the value under a key and a name.
func Set(key, name string, value []byte) {
	lock.Lock()
	defer lock.Unlock()
	values[place{key, name}] = append([]byte{}, value...)
}

// Delete deletes the value under a key and a name.
func Delete(key, name string) {
	lock.Lock()
	defer lock.Unlock()
	delete(values, place{key, name})
}

// Names are those of a key that begin with a prefix, in order.
func Names(key, prefix string) (names []string) {
	lock.Lock()
	defer lock.Unlock()
	for place := range values {
		if place.key == key && strings.HasPrefix(place.name, prefix) {
			names = append(names, place.name)
		}
	}
	slices.Sort(names)
	return names
}

// SetTimer sets a timer.
func SetTimer(timer Timer) {
	lock.Lock()
	defer lock.Unlock()
	timers[place{timer.Key, timer.Tag}] = timer
}

// CancelTimer cancels a timer.
func CancelTimer(key, tag string) {
	lock.Lock()
	defer lock.Unlock()
	delete(timers, place{key, tag})
}

// TakeTimers are the timers that were set, in the order of their times.
func TakeTimers() []Timer {
	lock.Lock()
	defer lock.Unlock()
	taken := slices.SortedFunc(maps.Values(timers), func(one, other Timer) int {
		return cmp.Compare(one.At, other.At)
	})
	clear(timers)
	return taken
}
