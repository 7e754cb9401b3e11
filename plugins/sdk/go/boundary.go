//go:build wasip1

package weir

import (
	"strings"
	"unsafe"

	"weir/internal/abi"
)

// The records of the contract as they lie in memory. Go lays these structs out by the same rules as
// the component model's canonical ABI lays out records, because every pointer in them is a uint32.

type rawHeader struct{ name, value abi.List }

type rawMessage struct {
	subject, payload, headers abi.List
	key                       abi.Option
	eventTime, sequence       uint64
	attempt                   uint32
}

type rawOutput struct{ subject, payload, headers, key abi.Option }

// A variant: which case it is, and that case's value.
type rawOutcome struct {
	tag   uint8
	value struct {
		// emit: the list of outputs; reject: the reason; retry: an option of a uint64.
		list  abi.List
		after uint64
		// retry only.
		reason abi.List
	}
}

// `result<_, string>` with a list in it is laid out as an option of either.
type rawAnswer = abi.Option

// What the contract's records measure: these do not compile otherwise.
var (
	_ = [1]int{}[unsafe.Sizeof(rawMessage{})-64]
	_ = [1]int{}[unsafe.Sizeof(rawOutput{})-48]
	_ = [1]int{}[unsafe.Sizeof(rawOutcome{})-32]
)

const (
	tagEmit = iota
	tagRetry
	tagReject
)

// What the last call returned. It stays until the host has read it and calls the function that the
// contract has for that: of the addresses in it the garbage collector knows nothing.
var returned struct {
	configured abi.Option
	text       string
	list       abi.List
	outcomes   []outcome
	raw        []rawOutcome
	answers    []answer
	rawAnswers []rawAnswer
	outputs    []rawOutput
	headers    [][]rawHeader
	texts      []string
}

// A batch of more bytes than this is collected before the next arrives. No collection can begin while
// the host hands over a batch, so that otherwise two or three of them would be in memory at once,
// and the operator would need a `memory` limit for so many.
const muchReceived = 2 << 20

//go:wasmexport weir:plugin/configurable@0.1.0#configure
func exportConfigure(text unsafe.Pointer, length uint32) unsafe.Pointer {
	config := []byte(abi.String(abi.List{At: abi.Address(text), Length: length}))
	abi.Release()
	returned.configured = abi.Option{}
	if err := configure(config); err != nil {
		returned.text = strings.ToValidUTF8(err.Error(), "\uFFFD")
		returned.configured = abi.Some(abi.ListOf(unsafe.StringData(returned.text), len(returned.text)))
	}
	return unsafe.Pointer(&returned.configured)
}

//go:wasmexport cabi_post_weir:plugin/configurable@0.1.0#configure
func afterConfigure(unsafe.Pointer) { returned.text = "" }

// lowered is a list of outcomes as the host reads it.
func lowered(outcomes []outcome) unsafe.Pointer {
	count := 0
	for index := range outcomes {
		count += len(outcomes[index].outputs)
	}
	returned.outcomes = outcomes
	returned.raw = make([]rawOutcome, len(outcomes))
	returned.outputs = make([]rawOutput, 0, count)
	for index := range outcomes {
		lower(&outcomes[index], &returned.raw[index])
	}
	returned.list = abi.ListOf(unsafe.SliceData(returned.raw), len(returned.raw))
	return unsafe.Pointer(&returned.list)
}

func (raw *rawMessage) message() Message {
	message := Message{
		Subject:   abi.String(raw.subject),
		Payload:   abi.Bytes(raw.payload),
		EventTime: raw.eventTime,
		Sequence:  raw.sequence,
		Attempt:   raw.attempt,
	}
	if headers := raw.headers; headers.Length > 0 {
		message.Headers = make([]Header, headers.Length)
		list := unsafe.Slice((*rawHeader)(abi.Pointer(headers.At)), headers.Length)
		for index, header := range list {
			message.Headers[index] = Header{abi.String(header.name), abi.String(header.value)}
		}
	}
	if raw.key.Is {
		key := abi.String(raw.key.Value)
		message.Key = &key
	}
	return message
}

// received is a list of messages, which keep what they are made of.
func received(list abi.List) []Message {
	messages := make([]Message, list.Length)
	for index, raw := range unsafe.Slice((*rawMessage)(abi.Pointer(list.At)), list.Length) {
		messages[index] = raw.message()
	}
	return messages
}

func lower(outcome *outcome, raw *rawOutcome) {
	switch {
	case outcome.retry != nil:
		raw.tag = tagRetry
		if after := outcome.retry.After; after != nil {
			raw.value.list.At = 1
			raw.value.after = uint64(max(0, after.Milliseconds()))
		}
		raw.value.reason = reason(outcome.retry.Error())
	case outcome.rejected:
		raw.tag = tagReject
		raw.value.list = reason(outcome.reject)
	default:
		raw.tag = tagEmit
		raw.value.list = lowerOutputs(outcome.outputs)
	}
}

// lowerOutputs puts outputs into the room that returned has for those of all outcomes.
func lowerOutputs(outputs []Output) abi.List {
	first := len(returned.outputs)
	for index := range outputs {
		returned.outputs = append(returned.outputs, outputs[index].raw())
	}
	lowered := returned.outputs[first:]
	return abi.ListOf(unsafe.SliceData(lowered), len(lowered))
}

// forget lets go of what the last call returned.
func forget() {
	returned.outcomes, returned.raw, returned.outputs = nil, nil, nil
	returned.answers, returned.rawAnswers = nil, nil
	returned.headers, returned.texts = nil, nil
}

// reason is text for people: what is not UTF-8 in it becomes U+FFFD.
func reason(text string) abi.List {
	text = strings.ToValidUTF8(text, "\uFFFD")
	returned.texts = append(returned.texts, text)
	return abi.ListOf(unsafe.StringData(text), len(text))
}

func (output *Output) raw() (raw rawOutput) {
	raw.subject = text(output.Subject)
	raw.key = text(output.Key)
	if payload := output.Payload; payload != nil {
		raw.payload = abi.Some(abi.ListOf(unsafe.SliceData(payload), len(payload)))
	}
	if output.Headers != nil {
		headers := make([]rawHeader, len(output.Headers))
		for index := range headers {
			header := &output.Headers[index]
			headers[index].name = abi.ListOf(unsafe.StringData(header.Name), len(header.Name))
			headers[index].value = abi.ListOf(unsafe.StringData(header.Value), len(header.Value))
		}
		returned.headers = append(returned.headers, headers)
		raw.headers = abi.Some(abi.ListOf(unsafe.SliceData(headers), len(headers)))
	}
	return raw
}

func text(text *string) abi.Option {
	if text == nil {
		return abi.Option{}
	}
	return abi.Some(abi.ListOf(unsafe.StringData(*text), len(*text)))
}
