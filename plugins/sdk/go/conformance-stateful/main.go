// Command conformance-stateful is the plugin with state of the conformance suite, in Go: see
// plugins/sdk/conformance/README.md.
package main

import (
	"bytes"
	"errors"
	"fmt"
	"math"
	"time"

	"weir"
	"weir/state"
	"weir/timers"
)

type note struct {
	Text string `json:"text"`
	N    int64  `json:"n"`
}

var (
	counts = state.New[uint64]("count")
	notes  = state.New[note]("note")
)

// The payload of every case; each has the fields that it needs.
type given struct {
	Note      note
	Name      string
	Text      string
	TTL       *uint64 `json:"ttl_ms"`
	Keys      []string
	Prefix    string
	After     *string
	Limit     uint32
	Bytes     int
	Tag       string
	EventTime *uint64 `json:"event_time"`
	AfterMs   uint64  `json:"after_ms"`
}

type conformance struct{}

func (conformance) Process(message *weir.Message) ([]weir.Output, error) {
	key := message.StateKey()
	var given given
	if err := message.JSON(&given); err != nil {
		return nil, err
	}
	switch which := message.Token(1); which {
	case "count":
		n, err := count(key)
		return weir.Emit(weir.JSON(map[string]uint64{"count": n})), err
	case "counts":
		found, err := counts.GetMany(given.Keys...)
		return weir.Emit(weir.JSON(map[string]any{"counts": found})), err
	case "note":
		if given.TTL == nil {
			return nil, notes.Set(key, given.Note)
		}
		return nil, notes.SetFor(key, given.Note, milliseconds(*given.TTL))
	case "read":
		note, found, err := notes.Get(key)
		if !found {
			return weir.Emit(weir.JSON(map[string]any{"note": nil})), err
		}
		return weir.Emit(weir.JSON(map[string]any{"note": note})), err
	case "forget":
		counts.Delete(key)
		notes.Delete(key)
		return weir.Drop(), nil
	case "put":
		if given.TTL == nil {
			return nil, state.Set(key, given.Name, []byte(given.Text))
		}
		return nil, state.SetFor(key, given.Name, []byte(given.Text), milliseconds(*given.TTL))
	case "fill":
		return nil, state.Set(key, given.Name, bytes.Repeat([]byte("x"), given.Bytes))
	case "remove":
		state.Delete(key, given.Name)
		return weir.Drop(), nil
	case "scan":
		return scan(key, given), nil
	case "timer":
		if given.EventTime != nil {
			return nil, timers.Set(key, given.Tag, timers.EventTime, *given.EventTime)
		}
		return nil, timers.SetAfter(key, given.Tag, milliseconds(given.AfterMs))
	case "cancel":
		timers.Cancel(key, given.Tag)
		return weir.Drop(), nil
	case "now":
		return weir.Emit(weir.JSON(map[string]uint64{
			"event":      timers.Now(timers.EventTime),
			"processing": timers.Now(timers.ProcessingTime),
		})), nil
	default:
		return end(which, key)
	}
}

func (conformance) OnTimer(timer *timers.Timer) ([]weir.Output, error) {
	if timer.Tag != "count" {
		return end(timer.Tag, timer.Key)
	}
	clock := "event"
	if timer.Clock == timers.ProcessingTime {
		clock = "processing"
	}
	n, err := count(timer.Key)
	return weir.Emit(weir.JSON(map[string]any{
		"count": n,
		"key":   timer.Key,
		"clock": clock,
		"at":    timer.At,
	})), err
}

func scan(key string, given given) []weir.Output {
	var entries []state.Entry
	if given.After == nil {
		entries = state.Scan(key, given.Prefix, given.Limit)
	} else {
		entries = state.ScanAfter(key, given.Prefix, *given.After, given.Limit)
	}
	found := make([][2]string, len(entries))
	for index, entry := range entries {
		found[index] = [2]string{entry.Name, string(entry.Value)}
	}
	return weir.Emit(weir.JSON(map[string]any{"found": found}))
}

// So many, or the most that a duration holds.
func milliseconds(number uint64) time.Duration {
	return time.Duration(min(number, math.MaxInt64/uint64(time.Millisecond))) * time.Millisecond
}

// end counts, and ends badly.
func end(which, key string) ([]weir.Output, error) {
	if _, err := count(key); err != nil {
		return nil, err
	}
	switch which {
	case "reject":
		return nil, errors.New("told to reject")
	case "retry":
		return nil, weir.Retry(errors.New("told to retry"))
	case "raise":
		panic("told to raise")
	default:
		return nil, fmt.Errorf("no such case: %s", which)
	}
}

func count(key string) (uint64, error) {
	n, _, err := counts.Get(key)
	if err != nil {
		return 0, err
	}
	return n + 1, counts.Set(key, n+1)
}

func init() {
	weir.Export(func(struct{}) (conformance, error) { return conformance{}, nil })
}

func main() {}
