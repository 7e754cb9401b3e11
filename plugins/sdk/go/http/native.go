//go:build !wasip1

package http

import (
	"bytes"
	"io"
	"net/http"
	"os"
)

func send(request *Request, address address) (*Response, error) {
	sent, err := http.NewRequest(request.Method, request.URL, bytes.NewReader(request.Body))
	if err != nil {
		return nil, err
	}
	for _, header := range request.Headers {
		sent.Header.Add(header.Name, header.Value)
	}
	client := http.Client{
		Timeout: request.Timeout,
		// As the host: a redirect is a response.
		CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
	}
	got, err := client.Do(sent)
	if os.IsTimeout(err) {
		return nil, address.as(ErrTimeout, "timed out")
	}
	if err != nil {
		return nil, err
	}
	defer got.Body.Close()
	response := &Response{Status: got.StatusCode}
	for name, values := range got.Header {
		for _, value := range values {
			response.Headers = append(response.Headers, Header{name, value})
		}
	}
	response.Body, err = io.ReadAll(got.Body)
	return response, err
}
