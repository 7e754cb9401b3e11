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

// sales adds up payloads that are numbers.
type sales struct{}

func (sales) Add(sum *float64, message *Message) error {
	var one float64
	err := message.JSON(&one)
	*sum += one
	return err
}

func (sales) Merge(left, right float64) (float64, error) { return left + right, nil }

func (sales) Emit(pane *Pane, sum float64) ([]Output, error) {
	return Emit(JSON(sum).WithKey(pane.Key)), nil
}

func TestAnAccumulatorIsKeptAsJSON(t *testing.T) {
	aggregates = typed[float64]{sales{}}
	messages := []Message{{Payload: []byte("1.5")}, {Payload: []byte("2")}}
	for accumulator, added := range map[string]string{"": "3.5", "10": "13.5"} {
		if got := processAddition([]byte(accumulator), messages); string(got.accumulator) != added {
			t.Errorf("%q became %+v", accumulator, got)
		}
	}
	if got := processPair([]byte("1"), []byte("2")); string(got.accumulator) != "3" {
		t.Errorf("it became %+v", got)
	}
	if got := processPane(&Pane{Key: "berlin"}, []byte("4")); string(got.outputs[0].Payload) != "4" {
		t.Errorf("it became %+v", got)
	}
}

func TestWhatIsRefusedInAWindowHasAReason(t *testing.T) {
	aggregates = typed[float64]{sales{}}
	for reason, got := range map[string]answer{
		"cannot read the accumulator as JSON": processPair([]byte("1"), []byte("{")),
		"cannot read the payload as JSON":     processAddition(nil, []Message{{Payload: []byte("no")}}),
		"the key of an output is not UTF-8":   processPane(&Pane{Key: "\xff"}, nil),
	} {
		if !got.refused || !strings.HasPrefix(got.reason, reason) {
			t.Errorf("it became %+v, not %s", got, reason)
		}
	}
}
