//go:build wasip1 && weir_aggregator

package weir

import (
	"runtime"
	"unsafe"

	"weir/internal/abi"
)

func init() { isAggregator = true }

type rawAddition struct{ key, accumulator, messages abi.List }

type rawPair struct{ key, left, right abi.List }

type rawPane struct {
	key         abi.List
	start, end  int64
	timing      uint8
	index       uint32
	accumulator abi.List
}

var _ = [1]int{}[unsafe.Sizeof(rawPane{})-40]

//go:wasmexport weir:window/aggregation@0.2.0#add
func exportAdd(additions unsafe.Pointer, length uint32) unsafe.Pointer {
	answers := make([]answer, length)
	messages := make([][]Message, length)
	raw := unsafe.Slice((*rawAddition)(additions), length)
	for index := range raw {
		messages[index] = received(raw[index].messages)
	}
	for index := range raw {
		answers[index] = processAddition(abi.Bytes(raw[index].accumulator), messages[index])
	}
	return answered(answers)
}

//go:wasmexport weir:window/aggregation@0.2.0#merge
func exportMerge(pairs unsafe.Pointer, length uint32) unsafe.Pointer {
	answers := make([]answer, length)
	for index, pair := range unsafe.Slice((*rawPair)(pairs), length) {
		answers[index] = processPair(abi.Bytes(pair.left), abi.Bytes(pair.right))
	}
	return answered(answers)
}

//go:wasmexport weir:window/aggregation@0.2.0#emit
func exportEmit(panes unsafe.Pointer, length uint32) unsafe.Pointer {
	answers := make([]answer, length)
	for index, raw := range unsafe.Slice((*rawPane)(panes), length) {
		pane := Pane{abi.String(raw.key), raw.start, raw.end, Timing(raw.timing), raw.index}
		answers[index] = processPane(&pane, abi.Bytes(raw.accumulator))
	}
	return answered(answers)
}

// answered is a list of answers as the host reads it. What the host has handed over is not needed any more.
func answered(answers []answer) unsafe.Pointer {
	count := 0
	for index := range answers {
		count += len(answers[index].outputs)
	}
	returned.answers = answers
	returned.rawAnswers = make([]rawAnswer, len(answers))
	returned.outputs = make([]rawOutput, 0, count)
	for index := range answers {
		answer, raw := &answers[index], &returned.rawAnswers[index]
		switch accumulator := answer.accumulator; {
		case answer.refused:
			*raw = rawAnswer{Is: true, Value: reason(answer.reason)}
		case accumulator != nil:
			raw.Value = abi.ListOf(unsafe.SliceData(accumulator), len(accumulator))
		default:
			raw.Value = lowerOutputs(answer.outputs)
		}
	}
	if abi.Release() > muchReceived {
		runtime.GC()
	}
	returned.list = abi.ListOf(unsafe.SliceData(returned.rawAnswers), len(returned.rawAnswers))
	return unsafe.Pointer(&returned.list)
}

//go:wasmexport cabi_post_weir:window/aggregation@0.2.0#add
func afterAdd(unsafe.Pointer) { forget() }

//go:wasmexport cabi_post_weir:window/aggregation@0.2.0#merge
func afterMerge(unsafe.Pointer) { forget() }

//go:wasmexport cabi_post_weir:window/aggregation@0.2.0#emit
func afterEmit(unsafe.Pointer) { forget() }
