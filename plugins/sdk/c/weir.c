/*
 * weir.c - the plugin's side of the border: the contract's exports, the loop over the batch, and the
 * outcome of each message. Part of the SDK; nothing here is meant to be called by a plugin.
 *
 * The contract `weir:plugin@0.1.0` is the WebAssembly canonical ABI of its WIT: records are structs,
 * lists are pointer and length, a variant is a tag and a union. The host writes a batch through
 * `cabi_realloc` and says with `cabi_post_...` that it has read the answer.
 */
#include "weir.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <strings.h>

#include "weir_memory.h"
#include "weir_outcome.h"
#include "weir_state.h"

#define EXPORT(name) __attribute__((export_name(name)))
#define IMPORT(interface, name) \
    __attribute__((import_module("weir:plugin/" interface "@0.1.0"), import_name(name)))

_Static_assert(sizeof(weir_message) == 64, "a message is laid out as in the contract");
_Static_assert(sizeof(weir_output) == 48, "an output is laid out as in the contract");
_Static_assert(sizeof(weir_outcome) == 32, "an outcome is laid out as in the contract");

/* ---- Outcomes ------------------------------------------------------------------------------- */

weir_output *weir_emit(weir_result *result) {
    if (result->outcome.tag != EMIT) result->size = 0;
    result->outcome.tag = EMIT;
    if (result->size == result->capacity) {
        size_t capacity = result->capacity ? result->capacity * 2 : 4;
        result->outputs = weir_grow(result->outputs, result->size * sizeof *result->outputs,
                                    capacity * sizeof *result->outputs);
        result->capacity = capacity;
    }
    weir_output *output = weir_alloc(sizeof *output);
    memset(output, 0, sizeof *output);
    result->outputs[result->size++] = output;
    return output;
}

static weir_optional_text some(weir_text text) {
    weir_optional_text optional = {true, weir_for_call(text)};
    return optional;
}

void weir_set_payload(weir_output *output, weir_text payload) { output->payload = some(payload); }

void weir_set_json(weir_output *output, const weir_writer *json) {
    weir_text payload = {json->data, json->size};
    weir_set_payload(output, payload);
}

void weir_set_subject(weir_output *output, weir_text subject) { output->subject = some(subject); }

void weir_set_key(weir_output *output, weir_text key) { output->key = some(key); }

void weir_add_header(weir_output *output, weir_text name, weir_text value) {
    weir_headers *headers = &output->headers.value;
    output->headers.is_some = true;
    /* Room for 1, 2, 4, 8, ...: full whenever the size is a power of two. */
    if ((headers->size & (headers->size - 1)) == 0) {
        size_t capacity = headers->size ? headers->size * 2 : 1;
        headers->items = weir_grow(headers->items, headers->size * sizeof *headers->items,
                                   capacity * sizeof *headers->items);
    }
    headers->items[headers->size].name = weir_for_call(name);
    headers->items[headers->size++].value = weir_for_call(value);
}

void weir_clear_headers(weir_output *output) {
    memset(&output->headers, 0, sizeof output->headers);
    output->headers.is_some = true;
}

static weir_text vformat(const char *format, va_list arguments) {
    va_list again;
    va_copy(again, arguments);
    int size = vsnprintf(NULL, 0, format, arguments);
    if (size < 0) size = 0;
    char *data = weir_alloc((size_t)size + 1);
    vsnprintf(data, (size_t)size + 1, format, again);
    va_end(again);
    weir_text text = {data, (size_t)size};
    return text;
}

#define FORMATTED(text)                   \
    va_list arguments;                    \
    va_start(arguments, format);          \
    weir_text text = vformat(format, arguments); \
    va_end(arguments)

weir_text weir_format(const char *format, ...) {
    FORMATTED(text);
    return text;
}

void weir_reject(weir_result *result, const char *format, ...) {
    FORMATTED(reason);
    result->outcome.tag = REJECT;
    result->outcome.reject = reason;
}

void weir_retry(weir_result *result, const char *format, ...) {
    FORMATTED(reason);
    result->outcome.tag = RETRY;
    result->outcome.retry.after_ms.is_some = false;
    result->outcome.retry.reason = reason;
}

void weir_retry_after(weir_result *result, uint64_t milliseconds, const char *format, ...) {
    FORMATTED(reason);
    result->outcome.tag = RETRY;
    result->outcome.retry.after_ms.is_some = true;
    result->outcome.retry.after_ms.value = milliseconds;
    result->outcome.retry.reason = reason;
}

void weir_panic(const char *format, ...) {
    FORMATTED(words);
    fprintf(stderr, "%.*s\n", WEIR_ARG(words));
    fflush(stderr);
    __builtin_trap();
}

/* ---- Reading -------------------------------------------------------------------------------- */

bool weir_find_header(const weir_message *message, const char *name, weir_text *value) {
    size_t size = strlen(name);
    for (size_t index = 0; index < message->headers.size; index++) {
        const weir_header *header = &message->headers.items[index];
        if (header->name.size == size && strncasecmp(header->name.data, name, size) == 0) {
            *value = header->value;
            return true;
        }
    }
    return false;
}

weir_text weir_token(const weir_message *message, size_t index) {
    const char *start = message->subject.data, *end = start + message->subject.size;
    for (;;) {
        const char *dot = memchr(start, '.', (size_t)(end - start));
        const char *stop = dot ? dot : end;
        if (index-- == 0) return (weir_text){start, (size_t)(stop - start)};
        if (!dot) return (weir_text){end, 0};
        start = dot + 1;
    }
}

bool weir_read_text(const weir_message *message, weir_result *result, weir_text *text) {
    size_t at;
    if (weir_is_utf8(message->payload, &at)) {
        *text = message->payload;
        return true;
    }
    weir_reject(result, "cannot read the payload as UTF-8 text: byte %zu is none", at);
    return false;
}

const weir_json *weir_read_json(const weir_message *message, weir_result *result) {
    weir_text error;
    const weir_json *json = weir_parse_json(message->payload, &error);
    if (!json) weir_reject(result, "cannot read the payload as JSON: %.*s", WEIR_ARG(error));
    return json;
}

/* ---- The contract's imports ----------------------------------------------------------------- */

IMPORT("log", "log") void host_log(int32_t level, const char *data, size_t size);
IMPORT("log", "enabled") int32_t host_enabled(int32_t level);
IMPORT("metrics", "add") void host_add(const char *name, size_t size, uint64_t value);
IMPORT("metrics", "set") void host_set(const char *name, size_t size, double value);
IMPORT("metrics", "observe") void host_observe(const char *name, size_t size, double value);
IMPORT("config", "get") void host_get(const char *pointer, size_t size, weir_optional_text *found);
IMPORT("config", "pipeline") void host_pipeline(weir_text *name);
IMPORT("config", "operator") void host_operator(weir_text *name);

bool weir_log_enabled(weir_level level) { return host_enabled(level); }

void weir_log(weir_level level, const char *format, ...) {
    if (!weir_log_enabled(level)) return;
    FORMATTED(text);
    text = weir_printable(text);
    host_log(level, text.data, text.size);
}

void weir_metric_add(const char *name, uint64_t value) { host_add(name, strlen(name), value); }
void weir_metric_set(const char *name, double value) { host_set(name, strlen(name), value); }
void weir_metric_observe(const char *name, double value) { host_observe(name, strlen(name), value); }

const weir_json *weir_config(const char *pointer) {
    weir_optional_text found;
    host_get(pointer, strlen(pointer), &found);
    weir_text error;
    return found.is_some ? weir_parse_json(found.value, &error) : NULL;
}

weir_text weir_pipeline_name(void) {
    weir_text name;
    host_pipeline(&name);
    return name;
}

weir_text weir_operator_name(void) {
    weir_text name;
    host_operator(&name);
    return name;
}

/* ---- The contract's exports ----------------------------------------------------------------- */

__attribute__((weak)) const char *weir_configure(const weir_json *config) {
    (void)config;
    return NULL;
}

/* `result<_, string>`. */
typedef struct {
    bool is_error;
    weir_text reason;
} configured;

EXPORT("weir:plugin/configurable@0.1.0#configure")
configured *export_configure(const char *data, size_t size) {
    static configured answer;
    weir_text error, text = {data, size};
    weir_keep(true);
    const weir_json *config = weir_parse_json(text, &error);
    if (!config) weir_panic("the host's configuration is no JSON: %.*s", WEIR_ARG(error));
    const char *reason = weir_configure(config);
    weir_keep(false);
    answer.is_error = reason != NULL;
    answer.reason = weir_printable(weir_text_of(reason ? reason : ""));
    return &answer;
}

/* What cannot cross the border, by name; NULL where all can. The host would end the instance. */
static const char *unspeakable(const weir_output *output) {
    if (output->subject.is_some && !weir_is_utf8(output->subject.value, NULL)) return "subject";
    if (output->key.is_some && !weir_is_utf8(output->key.value, NULL)) return "key";
    const weir_headers *headers = &output->headers.value;
    for (size_t index = 0; index < headers->size; index++) {
        const weir_header *header = &headers->items[index];
        if (!weir_is_utf8(header->name, NULL) || !weir_is_utf8(header->value, NULL)) return "header";
    }
    return NULL;
}

weir_outcome weir_finished(weir_result *result) {
    weir_outcome *outcome = &result->outcome;
    if (outcome->tag == EMIT) {
        weir_output *items = weir_alloc(result->size * sizeof *items);
        for (size_t at = 0; at < result->size; at++) {
            items[at] = *result->outputs[at];
            const char *field = unspeakable(&items[at]);
            if (!field) continue;
            weir_reject(result, "the %s of an output is not UTF-8", field);
            return *outcome;
        }
        outcome->emit.items = items;
        outcome->emit.size = result->size;
    } else {
        weir_text *reason = outcome->tag == RETRY ? &outcome->retry.reason : &outcome->reject;
        *reason = weir_printable(*reason);
    }
    return *outcome;
}

#ifndef WEIR_AGGREGATOR

typedef struct {
    weir_outcome *items;
    size_t size;
} outcomes;

EXPORT("weir:plugin/handler@0.1.0#process")
outcomes *export_process(const weir_message *batch, size_t size) {
    static outcomes answer;
    answer.items = weir_alloc(size * sizeof *answer.items);
    answer.size = size;
    for (size_t index = 0; index < size; index++) {
        weir_result result;
        memset(&result, 0, sizeof result);
        weir_process(&batch[index], &result);
        answer.items[index] = weir_finished(&result);
    }
    return &answer;
}

EXPORT("cabi_post_weir:plugin/handler@0.1.0#process")
void export_processed(const void *answer) {
    (void)answer;
    weir_forget();
}

#endif

#ifdef WEIR_STATEFUL

_Static_assert(sizeof(weir_timer) == 32, "a timer is laid out as in the contract");

__attribute__((weak)) void weir_on_timer(const weir_timer *timer, weir_result *result) {
    (void)timer;
    (void)result;
}

EXPORT("weir:state/timer-handler@0.2.0#on-timer")
outcomes *export_on_timer(const weir_timer *due, size_t size) {
    static outcomes answer;
    answer.items = weir_alloc(size * sizeof *answer.items);
    answer.size = size;
    for (size_t index = 0; index < size; index++) {
        weir_result result;
        memset(&result, 0, sizeof result);
        weir_on_timer(&due[index], &result);
        answer.items[index] = weir_finished(&result);
    }
    return &answer;
}

EXPORT("cabi_post_weir:state/timer-handler@0.2.0#on-timer")
void export_timers_processed(const void *answer) {
    (void)answer;
    weir_forget();
}

#endif

EXPORT("cabi_realloc")
void *export_realloc(void *data, size_t old_size, size_t align, size_t new_size) {
    (void)align; /* Everything is aligned for anything. */
    return weir_grow(data, old_size, new_size);
}
