/*
 * weir_http.c - a client of wasi:http/outgoing-handler. Part of the SDK.
 */
#include "weir_http.h"

#include <strings.h>

#include "weir_memory.h"

#define IMPORT(interface, name) \
    __attribute__((import_module("wasi:" interface "@0.2.12"), import_name(name)))

enum {
    /* Bytes that a stream takes at once, by its contract. */
    WRITTEN = 4096,
    /* Bytes to ask for at once. */
    READ = 64 * 1024,
    /* `scheme`, and its case for what is neither HTTP nor HTTPS. */
    HTTP = 0,
    HTTPS = 1,
    /* `method` by its name. */
    OTHER = 9,
};

/* A resource of the host's. */
typedef int32_t handle;

/* `result<own<...>>`; the error of `fields.from-list` is in the place of the handle. */
typedef struct {
    bool is_error;
    handle value;
} made;

typedef struct {
    uint8_t tag;
    uint64_t details[3];
} error_code;

/* `result<own<...>, error-code>` */
typedef struct {
    bool is_error;
    union {
        handle value;
        error_code error;
    };
} answer;

/* `option<result<answer>>` */
typedef struct {
    bool is_some;
    struct {
        bool is_error;
        answer answer;
    } value;
} awaited;

/* `option<error-code>` */
typedef struct {
    bool is_some;
    error_code value;
} cause;

enum { LAST_OPERATION_FAILED, CLOSED };

/* `result<list<u8>, stream-error>` */
typedef struct {
    bool is_error;
    union {
        weir_text bytes;
        struct {
            uint8_t tag;
            handle error;
        };
    };
} part;

_Static_assert(sizeof(answer) == 40 && sizeof(awaited) == 56 && sizeof(cause) == 40, "the canonical ABI");
_Static_assert(sizeof(part) == 12 && sizeof(weir_header) == 16, "the canonical ABI");

IMPORT("http/types", "[static]fields.from-list")
void http_fields_from_list(const weir_header *entries, size_t size, made *fields);
IMPORT("http/types", "[method]fields.entries") void http_fields_entries(handle fields, weir_headers *entries);
IMPORT("http/types", "[resource-drop]fields") void http_drop_fields(handle fields);
IMPORT("http/types", "[constructor]outgoing-request") handle http_request(handle fields);
IMPORT("http/types", "[method]outgoing-request.set-method")
int32_t http_set_method(handle request, int32_t tag, const char *name, size_t size);
IMPORT("http/types", "[method]outgoing-request.set-scheme")
int32_t http_set_scheme(handle request, int32_t is_some, int32_t tag, const char *name, size_t size);
IMPORT("http/types", "[method]outgoing-request.set-authority")
int32_t http_set_authority(handle request, int32_t is_some, const char *text, size_t size);
IMPORT("http/types", "[method]outgoing-request.set-path-with-query")
int32_t http_set_path(handle request, int32_t is_some, const char *text, size_t size);
IMPORT("http/types", "[method]outgoing-request.body") void http_request_body(handle request, made *body);
IMPORT("http/types", "[resource-drop]outgoing-request") void http_drop_request(handle request);
IMPORT("http/types", "[method]outgoing-body.write") void http_body_write(handle body, made *stream);
IMPORT("http/types", "[static]outgoing-body.finish")
void http_body_finish(handle body, int32_t has_trailers, handle trailers, answer *finished);
IMPORT("http/types", "[resource-drop]outgoing-body") void http_drop_outgoing_body(handle body);
IMPORT("http/types", "[constructor]request-options") handle http_options(void);
IMPORT("http/types", "[method]request-options.set-connect-timeout")
int32_t http_set_connect_timeout(handle options, int32_t is_some, uint64_t nanoseconds);
IMPORT("http/types", "[method]request-options.set-first-byte-timeout")
int32_t http_set_first_byte_timeout(handle options, int32_t is_some, uint64_t nanoseconds);
IMPORT("http/types", "[method]request-options.set-between-bytes-timeout")
int32_t http_set_between_bytes_timeout(handle options, int32_t is_some, uint64_t nanoseconds);
IMPORT("http/outgoing-handler", "handle")
void http_handle(handle request, int32_t has_options, handle options, answer *future);
IMPORT("http/types", "[method]future-incoming-response.subscribe") handle http_subscribe(handle future);
IMPORT("http/types", "[method]future-incoming-response.get") void http_get(handle future, awaited *response);
IMPORT("http/types", "[resource-drop]future-incoming-response") void http_drop_future(handle future);
IMPORT("http/types", "[method]incoming-response.status") int32_t http_status(handle response);
IMPORT("http/types", "[method]incoming-response.headers") handle http_headers(handle response);
IMPORT("http/types", "[method]incoming-response.consume") void http_consume(handle response, made *body);
IMPORT("http/types", "[resource-drop]incoming-response") void http_drop_response(handle response);
IMPORT("http/types", "[method]incoming-body.stream") void http_body_stream(handle body, made *stream);
IMPORT("http/types", "[resource-drop]incoming-body") void http_drop_incoming_body(handle body);
IMPORT("http/types", "http-error-code") void http_error_code(handle error, cause *cause);
IMPORT("io/poll", "[method]pollable.block") void http_block(handle pollable);
IMPORT("io/poll", "[resource-drop]pollable") void http_drop_pollable(handle pollable);
IMPORT("io/error", "[resource-drop]error") void http_drop_error(handle error);
IMPORT("io/streams", "[method]output-stream.blocking-write-and-flush")
void http_write(handle stream, const char *bytes, size_t size, part *written);
IMPORT("io/streams", "[resource-drop]output-stream") void http_drop_output(handle stream);
IMPORT("io/streams", "[method]input-stream.blocking-read")
void http_read(handle stream, uint64_t size, part *read);
IMPORT("io/streams", "[resource-drop]input-stream") void http_drop_input(handle stream);

/* ---- Errors --------------------------------------------------------------------------------- */

/* The cases of `error-code`, in their order. */
static const char *const CODES[] = {
    "DNS-timeout",
    "DNS-error",
    "destination-not-found",
    "destination-unavailable",
    "destination-IP-prohibited",
    "destination-IP-unroutable",
    "connection-refused",
    "connection-terminated",
    "connection-timeout",
    "connection-read-timeout",
    "connection-write-timeout",
    "connection-limit-reached",
    "TLS-protocol-error",
    "TLS-certificate-error",
    "TLS-alert-received",
    "HTTP-request-denied",
    "HTTP-request-length-required",
    "HTTP-request-body-size",
    "HTTP-request-method-invalid",
    "HTTP-request-URI-invalid",
    "HTTP-request-URI-too-long",
    "HTTP-request-header-section-size",
    "HTTP-request-header-size",
    "HTTP-request-trailer-section-size",
    "HTTP-request-trailer-size",
    "HTTP-response-incomplete",
    "HTTP-response-header-section-size",
    "HTTP-response-header-size",
    "HTTP-response-body-size",
    "HTTP-response-trailer-section-size",
    "HTTP-response-trailer-size",
    "HTTP-response-transfer-coding",
    "HTTP-response-content-coding",
    "HTTP-response-timeout",
    "HTTP-upgrade-failed",
    "HTTP-protocol-error",
    "loop-detected",
    "configuration-error",
    "internal-error",
};

static weir_http_error failed(weir_text reason) {
    return (weir_http_error){WEIR_HTTP_FAILED, reason};
}

static weir_http_error told(weir_text server, const error_code *code) {
    const char *name = code->tag < sizeof CODES / sizeof *CODES ? CODES[code->tag] : "unknown";
    if (strcmp(name, "HTTP-request-denied") == 0) {
        const char *format = "a request to `%.*s` was denied: it is not in `grants.http`";
        return (weir_http_error){WEIR_HTTP_DENIED, weir_format(format, WEIR_ARG(server))};
    }
    if (strcmp(name, "destination-IP-prohibited") == 0) {
        const char *format = "a request to `%.*s` was denied: it leads to an address that is not "
                             "public, and it is not in `grants.http-private`";
        return (weir_http_error){WEIR_HTTP_DENIED, weir_format(format, WEIR_ARG(server))};
    }
    if (strcmp(name, "HTTP-response-body-size") == 0) {
        const char *format = "the response of `%.*s` is larger than `limits.http-response`";
        return (weir_http_error){WEIR_HTTP_TOO_LARGE, weir_format(format, WEIR_ARG(server))};
    }
    if (strstr(name, "timeout")) {
        const char *format = "a request to `%.*s` timed out";
        return (weir_http_error){WEIR_HTTP_TIMEOUT, weir_format(format, WEIR_ARG(server))};
    }
    return failed(weir_format("a request to `%.*s` failed: %s", WEIR_ARG(server), name));
}

/* ---- The request ---------------------------------------------------------------------------- */

/* An address, taken apart. */
typedef struct {
    int32_t scheme;
    /* `scheme://host:port`: a path may hold secrets, so that errors name this alone. */
    weir_text server;
    weir_text authority;
    weir_text path;
} address;

static bool begins_with(weir_text text, const char *prefix) {
    size_t size = strlen(prefix);
    return text.size >= size && strncasecmp(text.data, prefix, size) == 0;
}

static bool take_apart(weir_text url, address *parts) {
    const char *prefix = begins_with(url, "http://") ? "http://" : "https://";
    if (!begins_with(url, prefix) || !weir_is_utf8(url, NULL)) return false;
    size_t start = strlen(prefix), end = start, last = 0;
    while (end < url.size && !strchr("/?#", url.data[end])) end++;
    while (last < url.size && url.data[last] != '#') last++;
    parts->scheme = start == strlen("http://") ? HTTP : HTTPS;
    parts->server = (weir_text){url.data, end};
    parts->authority = (weir_text){url.data + start, end - start};
    parts->path = (weir_text){url.data + end, last - end};
    if (!begins_with(parts->path, "/")) parts->path = weir_format("/%.*s", WEIR_ARG(parts->path));
    return true;
}

static bool make_headers(const weir_http_request *request, handle *fields) {
    size_t size = request->headers.size;
    weir_header *entries = weir_alloc((size + 1) * sizeof *entries);
    for (size_t index = 0; index < size; index++) {
        entries[index] = request->headers.items[index];
        if (!weir_is_utf8(entries[index].name, NULL)) return false;
    }
    if (request->body.data) {
        weir_text length = weir_format("%zu", request->body.size);
        entries[size++] = (weir_header){weir_text_of("content-length"), length};
    }
    made made;
    http_fields_from_list(entries, size, &made);
    *fields = made.value;
    return !made.is_error;
}

/* The request; it takes the headers. */
static bool make_request(const weir_http_request *given, const address *parts, handle fields, handle *made) {
    handle request = http_request(fields);
    weir_text method = given->method.size ? given->method : weir_text_of("GET");
    bool refused = !weir_is_utf8(method, NULL) ||
                   http_set_method(request, OTHER, method.data, method.size) ||
                   http_set_scheme(request, true, parts->scheme, NULL, 0) ||
                   http_set_authority(request, true, parts->authority.data, parts->authority.size) ||
                   http_set_path(request, true, parts->path.data, parts->path.size);
    *made = request;
    if (refused) http_drop_request(request);
    return !refused;
}

/* Sends it; it takes the request. */
static void start(handle request, uint64_t timeout_ms, answer *future) {
    if (!timeout_ms) {
        http_handle(request, false, 0, future);
        return;
    }
    const uint64_t unit = 1000 * 1000;
    uint64_t nanoseconds = timeout_ms < UINT64_MAX / unit ? timeout_ms * unit : UINT64_MAX;
    handle options = http_options();
    http_set_connect_timeout(options, true, nanoseconds);
    http_set_first_byte_timeout(options, true, nanoseconds);
    http_set_between_bytes_timeout(options, true, nanoseconds);
    http_handle(request, true, options, future);
}

/* Sends the body. What goes wrong on the way is told by the response. */
static void write_body(handle body, weir_text bytes) {
    made stream;
    http_body_write(body, &stream);
    for (size_t at = 0; at < bytes.size;) {
        size_t size = bytes.size - at < WRITTEN ? bytes.size - at : WRITTEN;
        part written;
        http_write(stream.value, bytes.data + at, size, &written);
        if (written.is_error && written.tag == LAST_OPERATION_FAILED) http_drop_error(written.error);
        if (written.is_error) break;
        at += size;
    }
    http_drop_output(stream.value);
    answer finished;
    http_body_finish(body, false, 0, &finished);
}

/* ---- The response --------------------------------------------------------------------------- */

/* Waits for the head; it takes the future. */
static void await(handle future, answer *response) {
    handle pollable = http_subscribe(future);
    http_block(pollable);
    http_drop_pollable(pollable);
    awaited got;
    http_get(future, &got);
    http_drop_future(future);
    *response = got.value.answer;
}

/* Reads a stream to its end; false with the code where it broke off. */
static bool read_all(handle stream, weir_text *all, error_code *error) {
    char *data = NULL;
    size_t size = 0, capacity = 0;
    for (;;) {
        part read;
        http_read(stream, READ, &read);
        if (read.is_error && read.tag == CLOSED) break;
        if (read.is_error) {
            cause cause;
            http_error_code(read.error, &cause);
            http_drop_error(read.error);
            *error = cause.value;
            if (!cause.is_some) error->tag = UINT8_MAX;
            return false;
        }
        if (capacity - size < read.bytes.size) {
            capacity = 2 * capacity > size + read.bytes.size ? 2 * capacity : size + read.bytes.size;
            data = weir_grow(data, size, capacity);
        }
        if (read.bytes.size) memcpy(data + size, read.bytes.data, read.bytes.size);
        size += read.bytes.size;
    }
    *all = (weir_text){data ? data : "", size};
    return true;
}

/* Reads a response; it takes it. */
static bool read_response(handle given, weir_http_response *response, error_code *error) {
    response->status = (uint16_t)http_status(given);
    handle fields = http_headers(given);
    http_fields_entries(fields, &response->headers);
    http_drop_fields(fields);
    made body, stream;
    http_consume(given, &body);
    http_body_stream(body.value, &stream);
    bool is_whole = read_all(stream.value, &response->body, error);
    http_drop_input(stream.value);
    http_drop_incoming_body(body.value);
    http_drop_response(given);
    return is_whole;
}

bool weir_http_send(const weir_http_request *request, weir_http_response *response,
                    weir_http_error *error) {
    address parts;
    handle fields, sent;
    if (!take_apart(request->url, &parts)) {
        *error = failed(weir_text_of("a request needs an address that begins with `https://` or `http://`"));
        return false;
    }
    if (!make_headers(request, &fields)) {
        const char *format = "a request to `%.*s` has a header that cannot be sent";
        *error = failed(weir_format(format, WEIR_ARG(parts.server)));
        return false;
    }
    if (!make_request(request, &parts, fields, &sent)) {
        const char *format = "a request to `%.*s` has an address or a method that is not valid";
        *error = failed(weir_format(format, WEIR_ARG(parts.server)));
        return false;
    }
    made body = {true, 0};
    if (request->body.data) http_request_body(sent, &body);
    answer answer;
    start(sent, request->timeout_ms, &answer);
    if (answer.is_error) {
        if (!body.is_error) http_drop_outgoing_body(body.value);
        *error = told(parts.server, &answer.error);
        return false;
    }
    if (!body.is_error) write_body(body.value, request->body);
    await(answer.value, &answer);
    error_code code = answer.error;
    bool is_whole = !answer.is_error && read_response(answer.value, response, &code);
    if (!is_whole) *error = told(parts.server, &code);
    return is_whole;
}

bool weir_http_get(const char *url, weir_http_response *response, weir_http_error *error) {
    weir_http_request request = {.url = weir_text_of(url)};
    return weir_http_send(&request, response, error);
}

bool weir_http_find_header(const weir_http_response *response, const char *name, weir_text *value) {
    weir_message message = {.headers = response->headers};
    return weir_find_header(&message, name, value);
}
