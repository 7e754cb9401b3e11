// Package weir is for plugins of weir in Go: a configuration, and one function per message.
//
//	package main
//
//	import (
//		"fmt"
//		"weir"
//	)
//
//	type Config struct {
//		Rate float64 `json:"rate"`
//	}
//
//	type Order struct {
//		Total float64 `json:"total"`
//	}
//
//	type rebates struct{ rate float64 }
//
//	func configure(config Config) (*rebates, error) {
//		if config.Rate < 0 || config.Rate > 1 {
//			return nil, fmt.Errorf("`rate` must be between 0 and 1, not %v", config.Rate)
//		}
//		return &rebates{config.Rate}, nil
//	}
//
//	func (r *rebates) Process(message *weir.Message) ([]weir.Output, error) {
//		var order Order
//		if err := message.JSON(&order); err != nil {
//			return nil, err // not an order: a dead letter that says why
//		}
//		if order.Total == 0 {
//			return weir.Drop(), nil
//		}
//		return weir.Emit(weir.JSON(order.Total * r.rate)), nil
//	}
//
//	func init() { weir.Export(configure) }
//
//	func main() {}
//
// What Process returns is what becomes of the message:
//
//	weir.Pass(), nil                      published as it came; no bytes are moved
//	weir.Emit(weir.JSON(value)), nil      one new message; what it does not set is taken over
//	weir.Emit(one, two, three), nil       many messages
//	weir.Drop(), nil                      dropped, on purpose
//	nil, err                              dead letter, with the error's text as the reason
//	nil, weir.Retry(err)                  delivered again later, with the pipeline's backoff
//	nil, weir.RetryAfter(err, after)      delivered again, not before this long
//	a panic                               dead letter for this message alone, with the stack
//
// A plugin that counts, joins or removes duplicates keeps weir/state, and sets weir/timers: see
// [Stateful]. One that aggregates windows of time is an [Aggregator].
//
// The packages weir/log, weir/metrics and weir/config are the host's services. Build with
// `weir plugin build`. Outside WebAssembly, for `go test`, entries of the log go to stderr and the
// other services do nothing.
package weir

import (
	"fmt"

	"weir/internal/strict"
	"weir/timers"
)

// An Operator is a map, filter, enrichment or route.
type Operator interface {
	// Process is called for each message, one at a time.
	//
	// The same message may come more than once (see [Message.Attempt]), and the instance may be
	// replaced between any two calls: what the operator holds is a cache, not state.
	Process(message *Message) ([]Output, error)
}

// A Stateful operator is called for the timers that it has set. Its plugin.yaml has
// `world: stateful-operator`, and its pipeline `delivery: exactly-once`.
type Stateful interface {
	Operator
	// OnTimer is called for each timer that is due. What it returns is as for Process, with the
	// timer's key.
	OnTimer(timer *timers.Timer) ([]Output, error)
}

// ProcessFunc makes an [Operator] of a function that needs no configuration and holds nothing.
type ProcessFunc func(message *Message) ([]Output, error)

// Process calls the function.
func (process ProcessFunc) Process(message *Message) ([]Output, error) {
	return process(message)
}

// Export makes this program a plugin. Call it once, from init: main is never called.
//
// configure is called once on every new instance, with the operator's `config:` from the pipeline
// file. A refusal is printed by `weir check` and keeps the pipeline from starting, so this is the
// place to compile expressions and check ranges; name the field in the error. C is a struct with
// `json` tags, in which a field that it does not know is an error; or any, to look at it yourself.
// Where there is no `config:`, it is C's zero value.
func Export[C any, O Operator](configure func(config C) (O, error)) {
	export(configure, func(made O) { operator = made })
}

// export leaves what configures an instance, and is handed to use.
func export[C, T any](configure func(config C) (T, error), use func(made T)) {
	if start != nil {
		panic("weir.Export is called twice")
	}
	start = func(text []byte) error {
		var config C
		if err := strict.Unmarshal(text, &config); err != nil {
			return fmt.Errorf("cannot read the configuration: %w", err)
		}
		made, err := configure(config)
		if err == nil {
			use(made)
		}
		return err
	}
}

// ExportFunc makes this program a plugin that takes no configuration. Call it once, from init.
func ExportFunc(process func(message *Message) ([]Output, error)) {
	Export(func(struct{}) (ProcessFunc, error) { return process, nil })
}
