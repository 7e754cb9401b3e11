// Package http is requests to the servers that the operator's `grants.http` names.
//
//	response, err := http.Get("https://api.example.com/rates")
//	if err != nil {
//		return nil, weir.Retry(err)
//	}
//	return weir.Emit(weir.Payload(response.Body)), nil
//
// A request is at least once, as its message is: send the sequence as an idempotency key where a repeat
// does harm. A plugin that does not use this package imports no HTTP and needs no grant.
//
// Outside WebAssembly, for `go test`, requests are sent with net/http: see net/http/httptest for a server.
package http

import (
	"encoding/json"
	"errors"
	"fmt"
	"strings"
	"time"
)

// A Header is one line of headers.
type Header struct {
	Name, Value string
}

// A Request is what is sent.
type Request struct {
	// Method is GET if it is empty.
	Method string
	// URL begins with http:// or https://.
	URL string
	// Headers are sent as they are. `content-length` is added, and `host` is that of the address.
	Headers []Header
	// Body is nil if there is none.
	Body []byte
	// Timeout is the most that it waits for a connection, for the answer, and between parts of the
	// answer. 0 is half of the operator's `limits.deadline`.
	Timeout time.Duration
}

// A Response is what the server answered, whatever its status.
type Response struct {
	Status int
	// Headers have names in lower case.
	Headers []Header
	// Body is at most as many bytes as the operator's `limits.http-response`.
	Body []byte
}

// An error that errors.Is finds in what [Request.Send] returns.
var (
	// ErrDenied says that the server is not granted. The host's log says it, too.
	ErrDenied = errors.New("denied")
	// ErrTimeout says that it took too long.
	ErrTimeout = errors.New("timed out")
	// ErrTooLarge says that the body is larger than `limits.http-response`.
	ErrTooLarge = errors.New("too large")
)

// A failure has words of its own for a kind of error.
type failure struct {
	kind  error
	words string
}

func (failure *failure) Error() string { return failure.words }
func (failure *failure) Unwrap() error { return failure.kind }

// Get sends a GET and waits for the response, whatever its status.
func Get(url string) (*Response, error) { return Request{URL: url}.Send() }

// Send sends the request and waits for the response, whatever its status. It is an error if there is no
// response, or not all of it.
func (request Request) Send() (*Response, error) {
	if request.Method == "" {
		request.Method = "GET"
	}
	address, err := parse(request.URL)
	if err != nil {
		return nil, err
	}
	return send(&request, address)
}

// Header is the first value of a header, and whether there is one. Names are compared without regard
// to case.
func (response *Response) Header(name string) (value string, found bool) {
	for _, header := range response.Headers {
		if strings.EqualFold(header.Name, name) {
			return header.Value, true
		}
	}
	return "", false
}

// JSON reads the body into target, as [encoding/json.Unmarshal] does.
func (response *Response) JSON(target any) error { return json.Unmarshal(response.Body, target) }

// An address is a URL, taken apart.
type address struct {
	isHTTPS bool
	// server is scheme://host:port: a path may hold secrets, so that errors name this alone.
	server          string
	authority, path string
}

func parse(url string) (address, error) {
	url = strings.ToValidUTF8(url, "\uFFFD")
	scheme, _, found := strings.Cut(url, "://")
	isHTTPS := strings.EqualFold(scheme, "https")
	if !found || !isHTTPS && !strings.EqualFold(scheme, "http") {
		return address{}, errors.New("a request needs an address that begins with `https://` or `http://`")
	}
	url, _, _ = strings.Cut(url, "#")
	start, end := len(scheme)+len("://"), len(url)
	if found := strings.IndexAny(url[start:], "/?"); found >= 0 {
		end = start + found
	}
	path := url[end:]
	if !strings.HasPrefix(path, "/") {
		path = "/" + path
	}
	return address{isHTTPS, url[:end], url[start:end], path}, nil
}

func (address *address) as(kind error, words string) error {
	return &failure{kind, address.failed(words).Error()}
}

func (address *address) failed(words string) error {
	return fmt.Errorf("a request to `%s` %s", address.server, words)
}
