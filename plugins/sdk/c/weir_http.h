/*
 * weir_http.h - HTTP requests to the servers that the operator's `grants.http` names.
 *
 *     #include "sdk/weir_http.h"
 *
 *     void weir_process(const weir_message *message, weir_result *result) {
 *         weir_http_response response;
 *         weir_http_error error;
 *         if (!weir_http_get("https://api.example.com/rates", &response, &error)) {
 *             weir_retry(result, "%.*s", WEIR_ARG(error.reason));
 *             return;
 *         }
 *         weir_set_payload(weir_emit(result), response.body);
 *     }
 *
 * A request is at least once, as its message is: send the sequence as an idempotency key where a repeat
 * does harm. A plugin that calls nothing of this file imports no HTTP and needs no grant.
 */
#ifndef WEIR_HTTP_H
#define WEIR_HTTP_H

#include "weir.h"

#ifdef __cplusplus
extern "C" {
#endif

/* A request. What is zero has its default. */
typedef struct weir_http_request {
    /* `http://` or `https://`. */
    weir_text url;
    /* GET if it is not given. */
    weir_text method;
    /* `content-length` is added, and `host` is that of the address. */
    weir_headers headers;
    /* None if `data` is NULL. */
    weir_text body;
    /* The most that it waits, in milliseconds, for a connection, for the answer, and between parts of
     * the answer. 0 is half of the operator's `limits.deadline`. */
    uint64_t timeout_ms;
} weir_http_request;

/* A response, whatever its status. It lives until the call is over. */
typedef struct weir_http_response {
    uint16_t status;
    /* The names are in lower case. */
    weir_headers headers;
    /* At most as many bytes as the operator's `limits.http-response`. */
    weir_text body;
} weir_http_response;

typedef enum weir_http_failure {
    /* Not granted. The host's log says it, too. */
    WEIR_HTTP_DENIED,
    WEIR_HTTP_TIMEOUT,
    /* The body is larger than `limits.http-response`. */
    WEIR_HTTP_TOO_LARGE,
    /* No connection, no HTTP, or nothing that can be sent. */
    WEIR_HTTP_FAILED,
} weir_http_failure;

/* Why there is no response. */
typedef struct weir_http_error {
    weir_http_failure kind;
    /* In words, with the server's name. */
    weir_text reason;
} weir_http_error;

/* Sends a request and waits for its response; false with an error where there is none. */
bool weir_http_send(const weir_http_request *request, weir_http_response *response,
                    weir_http_error *error);

/* The same with GET, for an address that ends with a zero. */
bool weir_http_get(const char *url, weir_http_response *response, weir_http_error *error);

/* The first value of a header, compared without regard to case; false where there is none. */
bool weir_http_find_header(const weir_http_response *response, const char *name, weir_text *value);

#ifdef __cplusplus
}
#endif
#endif
