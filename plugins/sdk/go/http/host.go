//go:build wasip1

package http

import (
	"math"
	"runtime"
	"strconv"
	"strings"
	"time"
	"unsafe"

	"weir/internal/abi"
)

// Bytes that a stream takes at once, by its contract, and bytes to ask for at once.
const (
	written = 4096
	read    = 64 << 10
)

// A handle is a resource of the host's.
type handle = int32

// What follows is results, as the canonical ABI lays them out. They are on the heap, so none of the
// imports is go:noescape: the host asks for memory during the call, and the stack may move for that.
type (
	// `result<own<...>>`
	made struct {
		isError bool
		value   handle
	}
	// `result<own<...>, error-code>` and `option<error-code>`
	answer struct {
		isError bool
		value   [4]uint64
	}
	// `option<result<answer>>`
	awaited struct {
		isSome bool
		value  struct {
			isError bool
			answer  answer
		}
	}
	// `result<list<u8>, stream-error>`: a list, or a case and a handle.
	part struct {
		isError bool
		list    abi.List
	}
	// `tuple<string, list<u8>>`
	line struct{ name, value abi.List }
)

const closed = 1

func (answer *answer) handle() handle { return handle(answer.value[0]) }

func (part *part) isClosed() bool { return uint8(part.list.At) == closed }

//go:wasmimport wasi:http/types@0.2.12 [static]fields.from-list
func fieldsFromList(entries unsafe.Pointer, length uint32, result unsafe.Pointer)

//go:wasmimport wasi:http/types@0.2.12 [method]fields.entries
func fieldsEntries(fields handle, result unsafe.Pointer)

//go:wasmimport wasi:http/types@0.2.12 [resource-drop]fields
func dropFields(fields handle)

//go:wasmimport wasi:http/types@0.2.12 [constructor]outgoing-request
func newRequest(fields handle) handle

//go:wasmimport wasi:http/types@0.2.12 [method]outgoing-request.set-method
func setMethod(request handle, which int32, name string) int32

//go:wasmimport wasi:http/types@0.2.12 [method]outgoing-request.set-scheme
func setScheme(request handle, is bool, which int32, name string) int32

//go:wasmimport wasi:http/types@0.2.12 [method]outgoing-request.set-authority
func setAuthority(request handle, is bool, text string) int32

//go:wasmimport wasi:http/types@0.2.12 [method]outgoing-request.set-path-with-query
func setPath(request handle, is bool, text string) int32

//go:wasmimport wasi:http/types@0.2.12 [method]outgoing-request.body
func requestBody(request handle, result unsafe.Pointer)

//go:wasmimport wasi:http/types@0.2.12 [resource-drop]outgoing-request
func dropRequest(request handle)

//go:wasmimport wasi:http/types@0.2.12 [method]outgoing-body.write
func bodyWrite(body handle, result unsafe.Pointer)

//go:wasmimport wasi:http/types@0.2.12 [static]outgoing-body.finish
func bodyFinish(body handle, hasTrailers bool, trailers handle, result unsafe.Pointer)

//go:wasmimport wasi:http/types@0.2.12 [resource-drop]outgoing-body
func dropOutgoingBody(body handle)

//go:wasmimport wasi:http/types@0.2.12 [constructor]request-options
func newOptions() handle

//go:wasmimport wasi:http/types@0.2.12 [method]request-options.set-connect-timeout
func setConnectTimeout(options handle, is bool, nanoseconds uint64) int32

//go:wasmimport wasi:http/types@0.2.12 [method]request-options.set-first-byte-timeout
func setFirstByteTimeout(options handle, is bool, nanoseconds uint64) int32

//go:wasmimport wasi:http/types@0.2.12 [method]request-options.set-between-bytes-timeout
func setBetweenBytesTimeout(options handle, is bool, nanoseconds uint64) int32

//go:wasmimport wasi:http/outgoing-handler@0.2.12 handle
func handleRequest(request handle, hasOptions bool, options handle, result unsafe.Pointer)

//go:wasmimport wasi:http/types@0.2.12 [method]future-incoming-response.subscribe
func subscribe(future handle) handle

//go:wasmimport wasi:http/types@0.2.12 [method]future-incoming-response.get
func futureGet(future handle, result unsafe.Pointer)

//go:wasmimport wasi:http/types@0.2.12 [resource-drop]future-incoming-response
func dropFuture(future handle)

//go:wasmimport wasi:http/types@0.2.12 [method]incoming-response.status
func responseStatus(response handle) int32

//go:wasmimport wasi:http/types@0.2.12 [method]incoming-response.headers
func responseHeaders(response handle) handle

//go:wasmimport wasi:http/types@0.2.12 [method]incoming-response.consume
func responseConsume(response handle, result unsafe.Pointer)

//go:wasmimport wasi:http/types@0.2.12 [resource-drop]incoming-response
func dropResponse(response handle)

//go:wasmimport wasi:http/types@0.2.12 [method]incoming-body.stream
func bodyStream(body handle, result unsafe.Pointer)

//go:wasmimport wasi:http/types@0.2.12 [resource-drop]incoming-body
func dropIncomingBody(body handle)

//go:wasmimport wasi:http/types@0.2.12 http-error-code
func errorCode(err handle, result unsafe.Pointer)

//go:wasmimport wasi:io/poll@0.2.12 [method]pollable.block
func block(pollable handle)

//go:wasmimport wasi:io/poll@0.2.12 [resource-drop]pollable
func dropPollable(pollable handle)

//go:wasmimport wasi:io/error@0.2.12 [resource-drop]error
func dropError(err handle)

//go:wasmimport wasi:io/streams@0.2.12 [method]output-stream.blocking-write-and-flush
func streamWrite(stream handle, bytes unsafe.Pointer, length uint32, result unsafe.Pointer)

//go:wasmimport wasi:io/streams@0.2.12 [resource-drop]output-stream
func dropOutput(stream handle)

//go:wasmimport wasi:io/streams@0.2.12 [method]input-stream.blocking-read
func streamRead(stream handle, length uint64, result unsafe.Pointer)

//go:wasmimport wasi:io/streams@0.2.12 [resource-drop]input-stream
func dropInput(stream handle)

func send(request *Request, address address) (*Response, error) {
	defer abi.Release()
	message, err := newMessage(request, address)
	if err != nil {
		return nil, err
	}
	body := new(made)
	if request.Body != nil {
		requestBody(message, unsafe.Pointer(body))
	}
	future := start(message, request.Timeout)
	if future.isError {
		if request.Body != nil {
			dropOutgoingBody(body.value)
		}
		return nil, address.explain(future)
	}
	if request.Body != nil {
		write(body.value, request.Body)
	}
	head := await(future.handle())
	if head.isError {
		return nil, address.explain(head)
	}
	return receive(head.handle(), address)
}

func newMessage(request *Request, address address) (handle, error) {
	headers := request.Headers
	if request.Body != nil {
		length := Header{"content-length", strconv.Itoa(len(request.Body))}
		headers = append(headers[:len(headers):len(headers)], length)
	}
	lines, names := make([]line, len(headers)), make([]string, len(headers))
	for index, header := range headers {
		name := strings.ToValidUTF8(header.Name, "\uFFFD")
		names[index] = name
		lines[index] = line{
			abi.ListOf(unsafe.StringData(name), len(name)),
			abi.ListOf(unsafe.StringData(header.Value), len(header.Value)),
		}
	}
	fields := new(made)
	fieldsFromList(unsafe.Pointer(unsafe.SliceData(lines)), uint32(len(lines)), unsafe.Pointer(fields))
	// Of the addresses in the lines the garbage collector knows nothing.
	runtime.KeepAlive(headers)
	runtime.KeepAlive(names)
	if fields.isError {
		return 0, address.failed("has a header that cannot be sent")
	}
	const http, https, other = 0, 1, 9
	scheme := int32(http)
	if address.isHTTPS {
		scheme = https
	}
	message := newRequest(fields.value)
	method := strings.ToValidUTF8(request.Method, "\uFFFD")
	if setMethod(message, other, method) != 0 ||
		setScheme(message, true, scheme, "") != 0 ||
		setAuthority(message, true, address.authority) != 0 ||
		setPath(message, true, address.path) != 0 {
		dropRequest(message)
		return 0, address.failed("has an address or a method that is not valid")
	}
	return message, nil
}

// start sends a request, which it takes.
func start(message handle, timeout time.Duration) *answer {
	future := new(answer)
	if timeout <= 0 {
		handleRequest(message, false, 0, unsafe.Pointer(future))
		return future
	}
	options := newOptions()
	setConnectTimeout(options, true, uint64(timeout))
	setFirstByteTimeout(options, true, uint64(timeout))
	setBetweenBytesTimeout(options, true, uint64(timeout))
	handleRequest(message, true, options, unsafe.Pointer(future))
	return future
}

// write sends a body, which it takes. What goes wrong on the way is told by the response.
func write(body handle, bytes []byte) {
	stream := new(made)
	bodyWrite(body, unsafe.Pointer(stream))
	for len(bytes) > 0 {
		chunk := bytes[:min(len(bytes), written)]
		result := new(part)
		first := unsafe.Pointer(unsafe.SliceData(chunk))
		streamWrite(stream.value, first, uint32(len(chunk)), unsafe.Pointer(result))
		if result.isError {
			if !result.isClosed() {
				dropError(handle(result.list.Length))
			}
			break
		}
		bytes = bytes[len(chunk):]
	}
	dropOutput(stream.value)
	bodyFinish(body, false, 0, unsafe.Pointer(new(answer)))
}

// await is the head of the response to a request, which it takes.
func await(future handle) *answer {
	pollable := subscribe(future)
	block(pollable)
	dropPollable(pollable)
	result := new(awaited)
	futureGet(future, unsafe.Pointer(result))
	dropFuture(future)
	return &result.value.answer
}

// receive reads a response, which it takes.
func receive(given handle, address address) (*Response, error) {
	response := &Response{Status: int(responseStatus(given))}
	fields, lines := responseHeaders(given), new(abi.List)
	fieldsEntries(fields, unsafe.Pointer(lines))
	dropFields(fields)
	for _, line := range unsafe.Slice((*line)(abi.Pointer(lines.At)), lines.Length) {
		header := Header{abi.String(line.name), abi.String(line.value)}
		response.Headers = append(response.Headers, header)
	}
	body, stream := new(made), new(made)
	responseConsume(given, unsafe.Pointer(body))
	bodyStream(body.value, unsafe.Pointer(stream))
	var failed *answer
	response.Body, failed = readAll(stream.value)
	dropInput(stream.value)
	dropIncomingBody(body.value)
	dropResponse(given)
	if failed != nil {
		return nil, address.explain(failed)
	}
	return response, nil
}

func readAll(stream handle) ([]byte, *answer) {
	bytes := []byte{}
	for {
		result := new(part)
		streamRead(stream, read, unsafe.Pointer(result))
		switch {
		case !result.isError:
			bytes = append(bytes, abi.Bytes(result.list)...)
		case result.isClosed():
			return bytes, nil
		default:
			cause, err := new(answer), handle(result.list.Length)
			errorCode(err, unsafe.Pointer(cause))
			dropError(err)
			if !cause.isError {
				cause.value[0] = math.MaxUint8
			}
			return nil, cause
		}
	}
}

// codes are the cases of `error-code`, in their order.
var codes = [...]string{
	"DNS-timeout", "DNS-error", "destination-not-found", "destination-unavailable",
	"destination-IP-prohibited", "destination-IP-unroutable", "connection-refused",
	"connection-terminated", "connection-timeout", "connection-read-timeout",
	"connection-write-timeout", "connection-limit-reached", "TLS-protocol-error",
	"TLS-certificate-error", "TLS-alert-received", "HTTP-request-denied",
	"HTTP-request-length-required", "HTTP-request-body-size", "HTTP-request-method-invalid",
	"HTTP-request-URI-invalid", "HTTP-request-URI-too-long", "HTTP-request-header-section-size",
	"HTTP-request-header-size", "HTTP-request-trailer-section-size", "HTTP-request-trailer-size",
	"HTTP-response-incomplete", "HTTP-response-header-section-size", "HTTP-response-header-size",
	"HTTP-response-body-size", "HTTP-response-trailer-section-size", "HTTP-response-trailer-size",
	"HTTP-response-transfer-coding", "HTTP-response-content-coding", "HTTP-response-timeout",
	"HTTP-upgrade-failed", "HTTP-protocol-error", "loop-detected", "configuration-error",
	"internal-error",
}

func (address *address) explain(failed *answer) error {
	code := "unknown"
	if which := uint8(failed.value[0]); int(which) < len(codes) {
		code = codes[which]
	}
	switch {
	case code == "HTTP-request-denied":
		return address.as(ErrDenied, "was denied: it is not in `grants.http`")
	case code == "destination-IP-prohibited":
		return address.as(ErrDenied, "was denied: it leads to an address that is not public, "+
			"and it is not in `grants.http-private`")
	case code == "HTTP-response-body-size":
		return address.as(ErrTooLarge, "has a response that is larger than `limits.http-response`")
	case strings.Contains(code, "timeout"):
		return address.as(ErrTimeout, "timed out")
	default:
		return address.failed("failed: " + code)
	}
}
