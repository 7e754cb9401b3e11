package weir

import (
	"fmt"

	"weir/internal/strict"
)

// An Output is one message that the operator emits. A field that is nil is taken over from the
// input message by the host: it is not copied, neither into the plugin nor out of it.
type Output struct {
	// Subject is where it goes, before the pipeline's sink template is applied: tokens separated by
	// dots, without wildcards or white space.
	Subject *string
	// Payload replaces the payload, also with an empty one where it is not nil.
	Payload []byte
	// Headers replace all headers of the input. Names that begin with `Nats-` are the host's.
	Headers []Header
	// Key replaces the key.
	Key *string

	// Why the payload could not be made; the message is then rejected with it.
	err error
}

// Pass emits the message as it came. No bytes are moved.
func Pass() []Output { return []Output{{}} }

// Drop emits nothing: the message ends here, on purpose.
func Drop() []Output { return nil }

// Emit emits one message or many.
func Emit(outputs ...Output) []Output { return outputs }

// Payload is an output with a new payload. The bytes are not copied: leave them alone afterwards.
func Payload(payload []byte) Output {
	if payload == nil {
		payload = []byte{}
	}
	return Output{Payload: payload}
}

// Text is an output with this text as its payload.
func Text(text string) Output { return Output{Payload: []byte(text)} }

// JSON is an output with value as JSON text as its payload. A value that cannot be written as JSON
// makes the message a dead letter that says so.
func JSON(value any) Output {
	text, err := strict.Marshal(value)
	if err != nil {
		return Output{err: fmt.Errorf("cannot write the output as JSON: %w", err)}
	}
	return Output{Payload: text}
}

// WithSubject is the output, sent to this subject.
func (output Output) WithSubject(subject string) Output {
	output.Subject = &subject
	return output
}

// WithKey is the output with another key.
func (output Output) WithKey(key string) Output {
	output.Key = &key
	return output
}

// WithHeader is the output with one more header. An output with headers of its own takes over none
// of the input's, but see [Output.WithHeadersOf].
func (output Output) WithHeader(name, value string) Output {
	return output.withHeaders(Header{name, value})
}

// WithHeadersOf is the output with the headers of the input, those that the operator's `headers:`
// asks for.
func (output Output) WithHeadersOf(message *Message) Output {
	return output.withHeaders(message.Headers...)
}

func (output Output) withHeaders(more ...Header) Output {
	headers := make([]Header, 0, len(output.Headers)+len(more))
	output.Headers = append(append(headers, output.Headers...), more...)
	return output
}
