// Command conformance-aggregator is the aggregator of the conformance suite, in Go: see
// plugins/sdk/conformance/README.md.
package main

import (
	"errors"
	"fmt"
	"slices"

	"weir"
)

type config struct {
	Refuse *string `json:"refuse"`
	Answer any     `json:"answer"`
}

type got struct {
	Count uint64   `json:"count"`
	Sum   int64    `json:"sum"`
	First *uint64  `json:"first"`
	Words []string `json:"words"`
}

// The payload of every case.
type given struct {
	N    int64
	Word *string
}

type conformance struct{ answer any }

func configure(config config) (conformance, error) {
	if config.Refuse != nil {
		return conformance{}, errors.New(*config.Refuse)
	}
	return conformance{config.Answer}, nil
}

func (conformance) Add(got *got, message *weir.Message) error {
	var given given
	if err := message.JSON(&given); err != nil {
		return err
	}
	switch which := message.Token(1); which {
	case "add":
	case "reject":
		return errors.New("told to reject")
	case "retry":
		return weir.Retry(errors.New("told to retry"))
	case "raise":
		panic("told to raise")
	default:
		return fmt.Errorf("no such case: %s", which)
	}
	got.Count++
	got.Sum += given.N
	got.First = least(got.First, &message.EventTime)
	if given.Word != nil {
		got.Words = append(got.Words, *given.Word)
	}
	return nil
}

func (conformance) Merge(left, right got) (got, error) {
	if slices.Contains(left.Words, "clash") && slices.Contains(right.Words, "clash") {
		return got{}, errors.New("told to clash")
	}
	return got{
		Count: left.Count + right.Count,
		Sum:   left.Sum + right.Sum,
		First: least(left.First, right.First),
		Words: append(left.Words, right.Words...),
	}, nil
}

func (c conformance) Emit(pane *weir.Pane, got got) ([]weir.Output, error) {
	told := func(word string) bool { return slices.Contains(got.Words, word) }
	switch {
	case told("reject"):
		return nil, errors.New("told to reject a window")
	case told("raise"):
		panic("told to raise a window")
	case told("none"):
		return weir.Drop(), nil
	case told("many"):
		index := func(index int) weir.Output { return weir.JSON(map[string]int{"index": index}) }
		return weir.Emit(index(0), index(1)), nil
	case told("set"):
		output := weir.Text("set").WithSubject("elsewhere").WithKey("other")
		return weir.Emit(output.WithHeader("Own", "header")), nil
	}
	return weir.Emit(weir.JSON(map[string]any{
		"key":    pane.Key,
		"start":  pane.Start,
		"end":    pane.End,
		"timing": pane.Timing.String(),
		"index":  pane.Index,
		"count":  got.Count,
		"sum":    got.Sum,
		"first":  got.First,
		"words":  append([]string{}, got.Words...),
		"answer": c.answer,
	})), nil
}

func least(one, other *uint64) *uint64 {
	if one == nil || other != nil && *other < *one {
		return other
	}
	return one
}

func init() { weir.ExportAggregator(configure) }

func main() {}
