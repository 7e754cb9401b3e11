package weir

import (
	"errors"
	"fmt"
	"strings"
	"time"
	"unicode/utf8"

	"weir/internal/strict"
)

// A Message is what the host hands to an operator. All of it is the operator's to keep.
type Message struct {
	// Subject is what it was published on, or what an earlier operator in the chain gave it.
	Subject string
	// Payload is the bytes as they were published. Not necessarily text.
	Payload []byte
	// Headers are those that the operator's `headers:` in the pipeline file asks for; none by
	// default. A name may occur more than once; order is kept.
	Headers []Header
	// Key is what the pipeline's `key:` rule takes from the message, or an earlier operator set;
	// nil where there is none.
	Key *string
	// EventTime is when it happened, in nanoseconds since the Unix epoch. See [Message.Time].
	EventTime uint64
	// Sequence is that in the source stream, from 1. With the operator's name it is an idempotency
	// key for side effects: a redelivered message has the same sequence.
	Sequence uint64
	// Attempt is 1 on first delivery, one more on each redelivery.
	Attempt uint32
}

// A Header is one line of headers.
type Header struct {
	Name, Value string
}

// JSON reads the payload into target, as [encoding/json.Unmarshal] does, but with
// [encoding/json.Number] for numbers where target does not say their type, so that none loses
// digits. A field that is not in the payload keeps its value in target: use a pointer to tell.
func (message *Message) JSON(target any) error {
	if err := strict.UnmarshalKnown(message.Payload, target); err != nil {
		return fmt.Errorf("cannot read the payload as JSON: %w", err)
	}
	return nil
}

// Text is the payload as text, or an error if it is not UTF-8.
func (message *Message) Text() (string, error) {
	if !utf8.Valid(message.Payload) {
		return "", errors.New("cannot read the payload as text: it is not UTF-8")
	}
	return string(message.Payload), nil
}

// Header is the first value of a header, and whether there is one. Names are compared without
// regard to case.
func (message *Message) Header(name string) (value string, found bool) {
	for _, header := range message.Headers {
		if strings.EqualFold(header.Name, name) {
			return header.Value, true
		}
	}
	return "", false
}

// Token is one token of the subject, from 0: of `orders.berlin.paid`, token 1 is `berlin`. It is
// empty where the subject has fewer.
func (message *Message) Token(index int) string {
	rest := message.Subject
	for {
		token, after, more := strings.Cut(rest, ".")
		if index == 0 {
			return token
		}
		if !more || index < 0 {
			return ""
		}
		rest, index = after, index-1
	}
}

// StateKey is what state and timers of this message belong to: its key, and "" if it has none.
func (message *Message) StateKey() string {
	if message.Key == nil {
		return ""
	}
	return *message.Key
}

// Time is the event time, in UTC.
func (message *Message) Time() time.Time {
	const second = uint64(time.Second)
	return time.Unix(int64(message.EventTime/second), int64(message.EventTime%second)).UTC()
}
