package weir

import (
	"errors"
	"fmt"
	"runtime"
	"strings"
	"unicode/utf8"

	"weir/timers"
)

// start is what Export or ExportAggregator left: it makes what it was given of a configuration in JSON text.
var start func(config []byte) error

// operator is the one that this instance was configured to be, if it is none of aggregates.
var operator Operator

// aggregates is the aggregator that this instance was configured to be.
var aggregates aggregation

// isAggregator is whether the world in plugin.yaml is that of aggregators.
var isAggregator bool

// An outcome is what becomes of one message: the first of retry and reject that is there, or else
// outputs.
type outcome struct {
	outputs []Output
	retry   *RetryError
	reject  string
	// Whether reject is meant, which may be empty.
	rejected bool
}

func configure(config []byte) (err error) {
	defer func() {
		if cause := recover(); cause != nil {
			err = errors.New(panicked(cause))
		}
	}()
	if start == nil {
		return errors.New("the plugin does not call weir.Export in init")
	}
	if err := start(config); err != nil {
		return err
	}
	if isAggregator != (aggregates != nil) {
		return errors.New("an aggregator has `world: aggregator` in plugin.yaml and calls " +
			"weir.ExportAggregator, and no other plugin does")
	}
	return nil
}

// process is one message's turn.
func process(message *Message) outcome {
	return processed(func() ([]Output, error) { return operator.Process(message) })
}

// processTimer is one timer's turn.
func processTimer(timer *timers.Timer) outcome {
	return processed(func() ([]Output, error) {
		if stateful, sets := operator.(Stateful); sets {
			return stateful.OnTimer(timer)
		}
		return Drop(), nil
	})
}

// processed is what a turn comes to. A panic is its end, and no other's.
func processed(turn func() ([]Output, error)) (result outcome) {
	defer func() {
		if cause := recover(); cause != nil {
			result = outcome{rejected: true, reject: panicked(cause)}
		}
	}()
	outputs, err := turn()
	if err == nil {
		err = check(outputs)
	}
	if err == nil {
		return outcome{outputs: outputs}
	}
	if retry := (*RetryError)(nil); errors.As(err, &retry) {
		// What the error was wrapped in is part of the reason.
		return outcome{retry: &RetryError{Err: err, After: retry.After}}
	}
	return outcome{rejected: true, reject: err.Error()}
}

// check finds what the host could not read. A Go string may hold any bytes, the contract's may not.
func check(outputs []Output) error {
	for index := range outputs {
		output := &outputs[index]
		if output.err != nil {
			return output.err
		}
		if !valid(output.Subject) {
			return errors.New("the subject of an output is not UTF-8")
		}
		if !valid(output.Key) {
			return errors.New("the key of an output is not UTF-8")
		}
		for _, header := range output.Headers {
			if !utf8.ValidString(header.Name) || !utf8.ValidString(header.Value) {
				return errors.New("a header of an output is not UTF-8")
			}
		}
	}
	return nil
}

func valid(text *string) bool { return text == nil || utf8.ValidString(*text) }

// panicked tells of a panic: its words in the first line, then the calls that led to it, the latest
// first. To be called by the deferred function itself.
func panicked(cause any) string {
	var told strings.Builder
	fmt.Fprintf(&told, "panic: %v", cause)
	counters := make([]uintptr, 64)
	frames := runtime.CallersFrames(counters[:runtime.Callers(3, counters)])
	for more := true; more; {
		var frame runtime.Frame
		frame, more = frames.Next()
		if isOwn(frame.Function) {
			break
		}
		if !strings.HasPrefix(frame.Function, "runtime.") {
			fmt.Fprintf(&told, "\n%s at %s:%d", frame.Function, frame.File, frame.Line)
		}
	}
	return told.String()
}

// isOwn is whether a function of the SDK calls the author's.
func isOwn(function string) bool {
	return function == "weir.configure" || strings.HasPrefix(function, "weir.process") ||
		strings.HasPrefix(function, "weir.typed[")
}
