/*
 * The plugin of the conformance suite, in C: see plugins/sdk/conformance/README.md.
 */
#include <inttypes.h>
#include <stdlib.h>

#include "sdk/weir.h"
#include "sdk/weir_http.h"

static const weir_json *answer;
static uint64_t count;

const char *weir_configure(const weir_json *config) {
    weir_text refuse;
    if (weir_get_text(config, "refuse", &refuse)) {
        return weir_format("%.*s", WEIR_ARG(refuse)).data;
    }
    answer = weir_get(config, "answer");
    return NULL;
}

static void emit(weir_result *result, const weir_writer *json) {
    weir_set_json(weir_emit(result), json);
}

static void describe(const weir_message *message, weir_result *result) {
    weir_writer json = weir_write_json();
    weir_begin_object(&json);
    weir_write_name(&json, "subject");
    weir_write_text(&json, message->subject);
    weir_write_name(&json, "length");
    weir_write_uint(&json, message->payload.size);
    weir_write_name(&json, "headers");
    weir_begin_array(&json);
    for (size_t index = 0; index < message->headers.size; index++) {
        weir_begin_array(&json);
        weir_write_text(&json, message->headers.items[index].name);
        weir_write_text(&json, message->headers.items[index].value);
        weir_end_array(&json);
    }
    weir_end_array(&json);
    weir_write_name(&json, "key");
    if (message->key.is_some) {
        weir_write_text(&json, message->key.value);
    } else {
        weir_write_null(&json);
    }
    weir_write_name(&json, "event_time");
    weir_write_uint(&json, message->event_time);
    weir_write_name(&json, "sequence");
    weir_write_uint(&json, message->sequence);
    weir_write_name(&json, "attempt");
    weir_write_uint(&json, message->attempt);
    weir_end_object(&json);
    emit(result, &json);
}

static void set(const weir_json *wanted, weir_result *result) {
    weir_output *output = weir_emit(result);
    weir_text text;
    if (weir_get_text(wanted, "subject", &text)) weir_set_subject(output, text);
    if (weir_get_text(wanted, "key", &text)) weir_set_key(output, text);
    if (weir_get_text(wanted, "text", &text)) weir_set_payload(output, text);
    const weir_json *headers = weir_get(wanted, "headers");
    if (!headers) return;
    weir_clear_headers(output);
    for (size_t index = 0; index < headers->size; index++) {
        const weir_json *pair = headers->items[index].items;
        weir_add_header(output, pair[0].string, pair[1].string);
    }
}

static void many(const weir_json *wanted, weir_result *result) {
    uint64_t outputs = 0;
    weir_get_uint(wanted, "count", &outputs);
    for (uint64_t index = 0; index < outputs; index++) {
        weir_writer json = weir_write_json();
        weir_begin_object(&json);
        weir_write_name(&json, "index");
        weir_write_uint(&json, index);
        weir_end_object(&json);
        emit(result, &json);
    }
}

static void increment(const weir_json *wanted, weir_result *result) {
    int64_t n;
    if (!weir_get_int(wanted, "n", &n) || n == INT64_MAX) {
        weir_reject(result, "`n` must be an integer that has a next one");
        return;
    }
    weir_writer json = weir_write_json();
    weir_begin_object(&json);
    weir_write_name(&json, "n");
    weir_write_int(&json, n + 1);
    weir_end_object(&json);
    emit(result, &json);
}

static void retry(const weir_json *wanted, weir_result *result) {
    weir_text reason = {"", 0};
    uint64_t after;
    weir_get_text(wanted, "reason", &reason);
    if (weir_get_uint(wanted, "after_ms", &after)) {
        weir_retry_after(result, after, "%.*s", WEIR_ARG(reason));
    } else {
        weir_retry(result, "%.*s", WEIR_ARG(reason));
    }
}

static void configuration(weir_result *result) {
    const weir_json *found = weir_config("/answer");
    weir_writer json = weir_write_json();
    weir_begin_object(&json);
    weir_write_name(&json, "pipeline");
    weir_write_text(&json, weir_pipeline_name());
    weir_write_name(&json, "operator");
    weir_write_text(&json, weir_operator_name());
    weir_write_name(&json, "answer");
    if (found) {
        weir_write_value(&json, found);
    } else {
        weir_write_null(&json);
    }
    weir_write_name(&json, "configured");
    if (answer) {
        weir_write_value(&json, answer);
    } else {
        weir_write_null(&json);
    }
    weir_end_object(&json);
    emit(result, &json);
}

static void http(const weir_json *wanted, weir_result *result) {
    static const char *const kinds[] = {"denied", "timeout", "too-large", "failed"};
    weir_http_request request = {0};
    weir_get_text(wanted, "url", &request.url);
    weir_get_text(wanted, "method", &request.method);
    weir_get_text(wanted, "body", &request.body);
    weir_get_uint(wanted, "timeout_ms", &request.timeout_ms);
    const weir_json *pairs = weir_get(wanted, "headers");
    request.headers.size = pairs ? pairs->size : 0;
    request.headers.items = weir_alloc(request.headers.size * sizeof(weir_header));
    for (size_t index = 0; index < request.headers.size; index++) {
        const weir_json *pair = pairs->items[index].items;
        request.headers.items[index] = (weir_header){pair[0].string, pair[1].string};
    }
    weir_http_response response;
    weir_http_error error;
    if (!weir_http_send(&request, &response, &error)) {
        weir_reject(result, "%s: %.*s", kinds[error.kind], WEIR_ARG(error.reason));
        return;
    }
    weir_text type;
    weir_writer json = weir_write_json();
    weir_begin_object(&json);
    weir_write_name(&json, "status");
    weir_write_uint(&json, response.status);
    weir_write_name(&json, "type");
    if (weir_http_find_header(&response, "Content-Type", &type)) {
        weir_write_text(&json, type);
    } else {
        weir_write_null(&json);
    }
    weir_write_name(&json, "length");
    weir_write_uint(&json, response.body.size);
    weir_write_name(&json, "body");
    weir_write_text(&json, (weir_text){response.body.data, response.body.size < 100 ? response.body.size : 100});
    weir_end_object(&json);
    emit(result, &json);
}

void weir_process(const weir_message *message, weir_result *result) {
    weir_text word = weir_token(message, 1), text;
    const weir_json *json;
    if (weir_text_is(word, "pass")) {
        weir_emit(result);
    } else if (weir_text_is(word, "drop")) {
        return;
    } else if (weir_text_is(word, "echo")) {
        weir_set_payload(weir_emit(result), message->payload);
    } else if (weir_text_is(word, "describe")) {
        describe(message, result);
    } else if (weir_text_is(word, "set")) {
        if ((json = weir_read_json(message, result))) set(json, result);
    } else if (weir_text_is(word, "many")) {
        if ((json = weir_read_json(message, result))) many(json, result);
    } else if (weir_text_is(word, "increment")) {
        if ((json = weir_read_json(message, result))) increment(json, result);
    } else if (weir_text_is(word, "shout")) {
        if (weir_read_text(message, result, &text)) {
            weir_set_payload(weir_emit(result), weir_format("%.*s!", WEIR_ARG(text)));
        }
    } else if (weir_text_is(word, "retry")) {
        if ((json = weir_read_json(message, result))) retry(json, result);
    } else if (weir_text_is(word, "reject")) {
        weir_reject(result, "%.*s", WEIR_ARG(message->payload));
    } else if (weir_text_is(word, "raise")) {
        weir_panic("%.*s", WEIR_ARG(message->payload));
    } else if (weir_text_is(word, "count")) {
        weir_set_payload(weir_emit(result), weir_format("{\"count\":%" PRIu64 "}", ++count));
    } else if (weir_text_is(word, "config")) {
        configuration(result);
    } else if (weir_text_is(word, "log")) {
        for (weir_level level = WEIR_TRACE; level <= WEIR_ERROR; level++) {
            weir_log(level, "%.*s", WEIR_ARG(message->payload));
        }
    } else if (weir_text_is(word, "metrics")) {
        weir_metric_add("conform_added", 3);
        weir_metric_set("conform_set", 2.5);
        weir_metric_observe("conform_observed", 0.5);
    } else if (weir_text_is(word, "http")) {
        if ((json = weir_read_json(message, result))) http(json, result);
    } else {
        weir_reject(result, "no such case: %.*s", WEIR_ARG(word));
    }
}
