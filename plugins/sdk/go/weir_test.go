package weir

import (
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"
)

func become(t *testing.T, process ProcessFunc, message *Message) outcome {
	t.Helper()
	operator = process
	return run(message)
}

// run is a caller of process, as the boundary is.
func run(message *Message) outcome { return process(message) }

func TestAnErrorIsARejectionAndARetryIsNot(t *testing.T) {
	after := 1500 * time.Millisecond
	for _, test := range []struct {
		err     error
		retried bool
		reason  string
	}{
		{errors.New("why"), false, "why"},
		{Retry(errors.New("why")), true, "why"},
		{fmt.Errorf("rates: %w", RetryAfter(errors.New("why"), after)), true, "rates: why"},
	} {
		got := become(t, func(*Message) ([]Output, error) { return Pass(), test.err }, &Message{})
		if got.outputs != nil || (got.retry != nil) != test.retried || got.rejected == test.retried {
			t.Errorf("%v became %+v", test.err, got)
		}
		reason := got.reject
		if got.retry != nil {
			reason = got.retry.Error()
		}
		if reason != test.reason {
			t.Errorf("the reason is %q", reason)
		}
	}
}

func explode(message *Message) ([]Output, error) {
	return nil, errors.New(message.Headers[3].Name)
}

func TestAPanicIsARejectionWithTheCallsThatLedToIt(t *testing.T) {
	reason := become(t, explode, &Message{}).reject
	lines := strings.Split(reason, "\n")
	if lines[0] != "panic: runtime error: index out of range [3] with length 0" {
		t.Errorf("the reason is %q", lines[0])
	}
	if len(lines) < 2 || !strings.HasPrefix(lines[1], "weir.explode at ") {
		t.Errorf("the calls are %q", lines[1:])
	}
	for _, line := range lines[1:] {
		if strings.Contains(line, "weir.process") || strings.HasPrefix(line, "runtime.") {
			t.Errorf("%q is none of the author's calls", line)
		}
	}
}

func TestWhatTheHostCannotReadIsARejection(t *testing.T) {
	const bytes = "\xff"
	for _, output := range []Output{
		Pass()[0].WithSubject(bytes),
		Pass()[0].WithKey(bytes),
		Pass()[0].WithHeader("a", bytes),
		JSON(func() {}),
	} {
		got := become(t, func(*Message) ([]Output, error) { return Emit(output), nil }, &Message{})
		if !got.rejected {
			t.Errorf("%+v became %+v", output, got)
		}
	}
}

func TestNumbersKeepTheirDigits(t *testing.T) {
	message := Message{Payload: []byte(`{"id": 9007199254740993}`)}
	var value any
	if err := message.JSON(&value); err != nil {
		t.Fatal(err)
	}
	if got := string(JSON(value).Payload); got != `{"id":9007199254740993}` {
		t.Errorf("it came back as %s", got)
	}
	for _, text := range []string{"", "{", "no", "1 2", "1}"} {
		message.Payload = []byte(text)
		if err := message.JSON(&value); err == nil || !strings.Contains(err.Error(), "JSON") {
			t.Errorf("%q: %v", text, err)
		}
	}
}

func TestPartsOfAMessageAreFound(t *testing.T) {
	message := Message{
		Subject:   "orders.berlin.paid",
		Headers:   []Header{{"Trace", "1"}, {"trace", "2"}},
		EventTime: 18446744073709551615,
	}
	if message.Token(0) != "orders" || message.Token(2) != "paid" || message.Token(3) != "" || message.Token(-1) != "" {
		t.Error("tokens")
	}
	if value, found := message.Header("TRACE"); value != "1" || !found {
		t.Error("headers")
	}
	if got := message.Time().Format(time.RFC3339Nano); got != "2554-07-21T23:34:33.709551615Z" {
		t.Error(got)
	}
	if output := Text("a").WithHeadersOf(&message).WithHeader("b", ""); len(output.Headers) != 3 {
		t.Error("headers of an output")
	}
}
