// Package state is values that an operator keeps for the keys of messages.
//
//	var count = state.New[int]("count")
//
//	func (p *plugin) Process(message *weir.Message) ([]weir.Output, error) {
//		n, _, err := count.Get(message.StateKey())
//		if err == nil {
//			err = count.Set(message.StateKey(), n+1)
//		}
//		return weir.Drop(), err
//	}
//
// They are there in Process and OnTimer of a plugin whose plugin.yaml says `world: stateful-operator`,
// and nowhere else: a call from configure ends the instance. A value belongs to a key and has a name
// below it. The key is that of the message or the timer at hand; one of another partition ends the
// call, and its message becomes a dead letter.
//
// What is written is stored together with the results of the batch, and undone for a message that is
// rejected, retried or makes the instance end.
//
// Outside WebAssembly, for `go test`, values are kept in memory and do not expire: see weir/weirtest.
package state

import (
	"errors"
	"fmt"
	"strings"
	"time"

	"weir/internal/strict"
)

// A State is a value for each key, kept as JSON. Make it a variable of the package: it holds nothing.
type State[T any] struct{ name string }

// New is a value with a name that no other value of the plugin has.
func New[T any](name string) State[T] { return State[T]{valid(name)} }

// Get is the value of a key, and whether there is one. It is an error if what is kept is no T: an
// earlier version of the plugin has written something else.
func (state State[T]) Get(key string) (value T, found bool, err error) {
	text, found := Get(key, state.name)
	if !found {
		return value, false, nil
	}
	value, err = state.read(text)
	return value, err == nil, err
}

// GetMany is the values of several keys, in their order, nil where there is none: one call of the
// host for all of them.
func (state State[T]) GetMany(keys ...string) ([]*T, error) {
	places := make([]Place, len(keys))
	for index, key := range keys {
		places[index] = Place{key, state.name}
	}
	values := make([]*T, len(keys))
	for index, text := range GetMany(places) {
		if text == nil {
			continue
		}
		value, err := state.read(text)
		if err != nil {
			return nil, err
		}
		values[index] = &value
	}
	return values, nil
}

// Set sets the value of a key, for as long as the pipeline's default says: for ever, normally. It is
// an error if the state of the partition has no room for it: return it, to reject the message.
func (state State[T]) Set(key string, value T) error {
	text, err := state.write(value)
	if err != nil {
		return err
	}
	return Set(key, state.name, text)
}

// SetFor sets the value of a key for this long from now. Setting it again begins anew; zero deletes it.
func (state State[T]) SetFor(key string, value T, ttl time.Duration) error {
	text, err := state.write(value)
	if err != nil {
		return err
	}
	return SetFor(key, state.name, text, ttl)
}

// Delete deletes the value of a key, if there is one.
func (state State[T]) Delete(key string) { Delete(key, state.name) }

func (state State[T]) read(text []byte) (value T, err error) {
	if err := strict.UnmarshalKnown(text, &value); err != nil {
		return value, fmt.Errorf("cannot read the state `%s` as JSON: %w", state.name, err)
	}
	return value, nil
}

func (state State[T]) write(value T) ([]byte, error) {
	text, err := strict.Marshal(value)
	if err != nil {
		return nil, fmt.Errorf("cannot write the state `%s` as JSON: %w", state.name, err)
	}
	return text, nil
}

// A Place is where a value is.
type Place struct{ Key, Name string }

// An Entry is a name with its value.
type Entry struct {
	Name  string
	Value []byte
}

// Get is the bytes under a key and a name, and whether there are any.
func Get(key, name string) ([]byte, bool) { return get(valid(key), valid(name)) }

// GetMany is the bytes in several places, in their order, nil where there are none.
func GetMany(places []Place) [][]byte {
	checked := make([]Place, len(places))
	for index, place := range places {
		checked[index] = Place{valid(place.Key), valid(place.Name)}
	}
	return getMany(checked)
}

// Set sets the bytes under a key and a name. It is an error if the state of the partition has no room
// for them: return it, to reject the message.
func Set(key, name string, value []byte) error {
	return refusal(set(valid(key), valid(name), value, nil))
}

// SetFor sets the bytes under a key and a name for this long from now. Setting them again begins anew;
// zero deletes them.
func SetFor(key, name string, value []byte, ttl time.Duration) error {
	// Rounded up: zero would delete.
	milliseconds := uint64(max(0, ttl.Milliseconds()))
	if ttl > 0 && ttl%time.Millisecond > 0 {
		milliseconds++
	}
	return refusal(set(valid(key), valid(name), value, &milliseconds))
}

// Delete deletes what is under a key and a name, if anything.
func Delete(key, name string) { remove(valid(key), valid(name)) }

// Scan is up to limit names of a key that begin with prefix, with their values, in the order of the
// names. Fewer may come where they are large: see [ScanAfter] for the others.
func Scan(key, prefix string, limit uint32) []Entry {
	return scan(valid(key), valid(prefix), nil, limit)
}

// ScanAfter is as [Scan], for the names after one. There are no more only when none comes.
func ScanAfter(key, prefix, after string, limit uint32) []Entry {
	after = valid(after)
	return scan(valid(key), valid(prefix), &after, limit)
}

func refusal(reason string, refused bool) error {
	if refused {
		return errors.New(reason)
	}
	return nil
}

// What is not UTF-8 would end the call.
func valid(text string) string { return strings.ToValidUTF8(text, "\uFFFD") }
