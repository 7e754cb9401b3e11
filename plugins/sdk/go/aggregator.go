package weir

import (
	"fmt"

	"weir/internal/strict"
)

// An Aggregator is the arithmetic of windows. The host assigns messages to windows, keeps an accumulator A for each
// key and window, and says when one is emitted: the operator's `window:` in the pipeline file decides that. Its
// plugin.yaml has `world: aggregator`, and its pipeline `delivery: exactly-once`.
//
// Results must not depend on how messages were grouped: merging two accumulators is the same as adding the messages of
// both to one. What the aggregator itself holds is a cache.
//
// A is kept as JSON, and its zero value stands for no messages. A later version of the plugin must be able to read it.
// There is no retry here: an error is the reason for a dead letter.
type Aggregator[A any] interface {
	// Add takes a message into the accumulator of its key and window. An error makes the message a dead letter; the
	// others count.
	Add(accumulator *A, message *Message) error
	// Merge joins two accumulators of a key: left is of the earlier part of the window.
	Merge(left, right A) (A, error)
	// Emit is called with each result of a window. What an output leaves out is empty, but for the key, which is the
	// pane's; the host adds headers that name the window.
	Emit(pane *Pane, accumulator A) ([]Output, error)
}

// A Pane is one result of a window.
type Pane struct {
	// Key is that of the messages, and "" if they have none.
	Key string
	// Start and End are those of the window in nanoseconds since the Unix epoch, the end excluded.
	Start, End int64
	// Timing is why it is emitted.
	Timing Timing
	// Index is how many panes of the window came before.
	Index uint32
}

// A Timing is why a window is emitted.
type Timing uint8

const (
	// Early is before its end, as `early:` says.
	Early Timing = iota
	// OnTime is at its end, once.
	OnTime
	// Late is after that, for a message that came within `allowed-lateness`.
	Late
)

// String is as the header `Weir-Pane` has it: early, on-time or late.
func (timing Timing) String() string {
	return [...]string{"early", "on-time", "late"}[timing]
}

// ExportAggregator makes this program a plugin that aggregates windows. Call it once, from init, as [Export].
func ExportAggregator[C, A any, T Aggregator[A]](configure func(config C) (T, error)) {
	export(configure, func(made T) { aggregates = typed[A]{made} })
}

// An aggregation is an Aggregator of bytes.
type aggregation interface {
	add(accumulator []byte, messages []Message) ([]byte, error)
	merge(left, right []byte) ([]byte, error)
	emit(pane *Pane, accumulator []byte) ([]Output, error)
}

type typed[A any] struct{ Aggregator[A] }

func (typed typed[A]) add(accumulator []byte, messages []Message) ([]byte, error) {
	value, err := readAccumulator[A](accumulator)
	for index := 0; err == nil && index < len(messages); index++ {
		err = typed.Add(&value, &messages[index])
	}
	return written(value, err)
}

func (typed typed[A]) merge(left, right []byte) ([]byte, error) {
	earlier, err := readAccumulator[A](left)
	if err != nil {
		return nil, err
	}
	later, err := readAccumulator[A](right)
	if err != nil {
		return nil, err
	}
	return written(typed.Merge(earlier, later))
}

func (typed typed[A]) emit(pane *Pane, accumulator []byte) ([]Output, error) {
	value, err := readAccumulator[A](accumulator)
	if err != nil {
		return nil, err
	}
	return typed.Emit(pane, value)
}

// readAccumulator is of no message yet where it is empty.
func readAccumulator[A any](accumulator []byte) (value A, err error) {
	if len(accumulator) == 0 {
		return value, nil
	}
	if err := strict.UnmarshalKnown(accumulator, &value); err != nil {
		return value, fmt.Errorf("cannot read the accumulator as JSON: %w", err)
	}
	return value, nil
}

func written(value any, err error) ([]byte, error) {
	if err != nil {
		return nil, err
	}
	text, err := strict.Marshal(value)
	if err != nil {
		return nil, fmt.Errorf("cannot write the accumulator as JSON: %w", err)
	}
	return text, nil
}

// An answer is an accumulator or outputs, or why there are none.
type answer struct {
	accumulator []byte
	outputs     []Output
	reason      string
	// Whether reason is meant, which may be empty.
	refused bool
}

func processAddition(accumulator []byte, messages []Message) answer {
	return processWindow(func() (made answer, err error) {
		made.accumulator, err = aggregates.add(accumulator, messages)
		return made, err
	})
}

func processPair(left, right []byte) answer {
	return processWindow(func() (made answer, err error) {
		made.accumulator, err = aggregates.merge(left, right)
		return made, err
	})
}

func processPane(pane *Pane, accumulator []byte) answer {
	return processWindow(func() (made answer, err error) {
		made.outputs, err = aggregates.emit(pane, accumulator)
		if err == nil {
			err = check(made.outputs)
		}
		return made, err
	})
}

// processWindow is what a turn comes to, as for a message.
func processWindow(turn func() (answer, error)) (result answer) {
	defer func() {
		if cause := recover(); cause != nil {
			result = answer{refused: true, reason: panicked(cause)}
		}
	}()
	made, err := turn()
	if err != nil {
		return answer{refused: true, reason: err.Error()}
	}
	return made
}
