// Command conformance is the plugin of the conformance suite, in Go: see
// plugins/sdk/conformance/README.md.
package main

import (
	"errors"
	"fmt"
	"time"

	"weir"
	"weir/config"
	"weir/http"
	"weir/log"
	"weir/metrics"
)

type conformance struct {
	answer any
	count  uint64
}

func configure(given map[string]any) (*conformance, error) {
	if reason, refused := given["refuse"].(string); refused {
		return nil, errors.New(reason)
	}
	return &conformance{answer: given["answer"]}, nil
}

func (c *conformance) Process(message *weir.Message) ([]weir.Output, error) {
	switch which := message.Token(1); which {
	case "pass":
		return weir.Pass(), nil
	case "drop":
		return weir.Drop(), nil
	case "echo":
		return weir.Emit(weir.Payload(message.Payload)), nil
	case "describe":
		return describe(message), nil
	case "set":
		return set(message)
	case "many":
		return many(message)
	case "increment":
		return increment(message)
	case "shout":
		text, err := message.Text()
		return weir.Emit(weir.Text(text + "!")), err
	case "retry":
		return nil, retry(message)
	case "reject":
		return nil, errors.New(string(message.Payload))
	case "raise":
		panic(string(message.Payload))
	case "count":
		c.count++
		return weir.Emit(weir.JSON(map[string]uint64{"count": c.count})), nil
	case "config":
		answer, _ := config.Get[any]("/answer")
		return weir.Emit(weir.JSON(map[string]any{
			"pipeline":   config.Pipeline(),
			"operator":   config.Operator(),
			"answer":     answer,
			"configured": c.answer,
		})), nil
	case "log":
		text := string(message.Payload)
		log.Tracef("%s", text)
		log.Debugf("%s", text)
		log.Infof("%s", text)
		log.Warnf("%s", text)
		log.Errorf("%s", text)
		return weir.Drop(), nil
	case "metrics":
		metrics.Add("conform_added", 3)
		metrics.Set("conform_set", 2.5)
		metrics.Observe("conform_observed", 0.5)
		return weir.Drop(), nil
	case "http":
		return send(message)
	default:
		return nil, fmt.Errorf("no such case: %s", which)
	}
}

func describe(message *weir.Message) []weir.Output {
	headers := [][2]string{}
	for _, header := range message.Headers {
		headers = append(headers, [2]string{header.Name, header.Value})
	}
	return weir.Emit(weir.JSON(map[string]any{
		"subject":    message.Subject,
		"length":     len(message.Payload),
		"headers":    headers,
		"key":        message.Key,
		"event_time": message.EventTime,
		"sequence":   message.Sequence,
		"attempt":    message.Attempt,
	}))
}

func set(message *weir.Message) ([]weir.Output, error) {
	var wanted struct {
		Subject, Key, Text *string
		Headers            [][2]string
	}
	if err := message.JSON(&wanted); err != nil {
		return nil, err
	}
	output := weir.Output{Subject: wanted.Subject, Key: wanted.Key}
	if wanted.Headers != nil {
		output.Headers = []weir.Header{}
	}
	for _, header := range wanted.Headers {
		output = output.WithHeader(header[0], header[1])
	}
	if wanted.Text != nil {
		output.Payload = []byte(*wanted.Text)
	}
	return weir.Emit(output), nil
}

func many(message *weir.Message) ([]weir.Output, error) {
	var wanted struct{ Count int }
	if err := message.JSON(&wanted); err != nil {
		return nil, err
	}
	outputs := make([]weir.Output, 0, wanted.Count)
	for index := range wanted.Count {
		outputs = append(outputs, weir.JSON(map[string]int{"index": index}))
	}
	return outputs, nil
}

func increment(message *weir.Message) ([]weir.Output, error) {
	var number struct {
		N *int64 `json:"n"`
	}
	if err := message.JSON(&number); err != nil {
		return nil, err
	}
	if number.N == nil {
		return nil, errors.New("there is no `n`")
	}
	*number.N++
	return weir.Emit(weir.JSON(number)), nil
}

func retry(message *weir.Message) error {
	var wanted struct {
		Reason  string
		AfterMs *int64 `json:"after_ms"`
	}
	if err := message.JSON(&wanted); err != nil {
		return err
	}
	reason := errors.New(wanted.Reason)
	if wanted.AfterMs == nil {
		return weir.Retry(reason)
	}
	return weir.RetryAfter(reason, time.Duration(*wanted.AfterMs)*time.Millisecond)
}

func send(message *weir.Message) ([]weir.Output, error) {
	var wanted struct {
		URL, Method string
		Headers     [][2]string
		Body        *string
		TimeoutMs   int64 `json:"timeout_ms"`
	}
	if err := message.JSON(&wanted); err != nil {
		return nil, err
	}
	request := http.Request{URL: wanted.URL, Method: wanted.Method}
	request.Timeout = time.Duration(wanted.TimeoutMs) * time.Millisecond
	for _, header := range wanted.Headers {
		request.Headers = append(request.Headers, http.Header{Name: header[0], Value: header[1]})
	}
	if wanted.Body != nil {
		request.Body = []byte(*wanted.Body)
	}
	response, err := request.Send()
	switch {
	case errors.Is(err, http.ErrDenied):
		return nil, fmt.Errorf("denied: %w", err)
	case errors.Is(err, http.ErrTimeout):
		return nil, fmt.Errorf("timeout: %w", err)
	case errors.Is(err, http.ErrTooLarge):
		return nil, fmt.Errorf("too-large: %w", err)
	case err != nil:
		return nil, fmt.Errorf("failed: %w", err)
	}
	described := map[string]any{"status": response.Status, "type": nil}
	described["length"] = len(response.Body)
	described["body"] = string(response.Body[:min(len(response.Body), 100)])
	if value, found := response.Header("Content-Type"); found {
		described["type"] = value
	}
	return weir.Emit(weir.JSON(described)), nil
}

func init() { weir.Export(configure) }

func main() {}
