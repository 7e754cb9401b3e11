/*
 * weir.h - write weir plugins in C: one function from a message to what becomes of it.
 *
 *     #include "sdk/weir.h"
 *
 *     void weir_process(const weir_message *message, weir_result *result) {
 *         const weir_json *order = weir_read_json(message, result);
 *         if (!order) return;                       // rejected, with a reason
 *         double total;
 *         if (!weir_get_double(order, "total", &total)) {
 *             weir_reject(result, "an order needs a `total`");
 *             return;
 *         }
 *         if (total == 0) return;                   // nothing emitted: dropped, on purpose
 *         weir_writer json = weir_write_json();
 *         weir_write_double(&json, total * 0.05);
 *         weir_set_json(weir_emit(result), &json);  // one new message
 *     }
 *
 * A plugin that counts, joins or removes duplicates keeps state: see weir_state.h. One that aggregates
 * windows of time has other functions than `weir_process`: see weir_window.h.
 *
 * Memory: what `weir_alloc` returns, and everything that this header hands out, lives until the call
 * is over and is freed by itself. What is allocated in `weir_configure` lives as long as the
 * instance. Nothing here is freed by hand; `malloc` is there for what you want to keep.
 *
 * A plugin is one thread. The structs are those of the contract, laid out as they cross the border:
 * nothing is copied on the way in, and on the way out only what you set, where it lives shorter than
 * the call.
 */
#ifndef WEIR_H
#define WEIR_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "weir_json.h"
#include "weir_text.h"

#ifdef __cplusplus
extern "C" {
#endif

/* ---- What comes in ------------------------------------------------------------------------- */

/* One header line. A name may occur more than once. */
typedef struct weir_header {
    weir_text name;
    weir_text value;
} weir_header;

typedef struct weir_headers {
    weir_header *items;
    size_t size;
} weir_headers;

/* A text that may be missing: `value` means something only where `is_some`. */
typedef struct weir_optional_text {
    bool is_some;
    weir_text value;
} weir_optional_text;

/* One message. Read its fields; do not change them. */
typedef struct weir_message {
    weir_text subject;
    /* Bytes as they were published: not necessarily text. See weir_read_text. */
    weir_text payload;
    /* Those that the operator's `headers:` in the pipeline file asks for. */
    weir_headers headers;
    weir_optional_text key;
    /* Nanoseconds since the Unix epoch. */
    uint64_t event_time;
    /* In the source stream, from 1: an idempotency key for side effects. */
    uint64_t sequence;
    /* 1 on first delivery. */
    uint32_t attempt;
} weir_message;

/* The first value of a header, compared without regard to case; false where there is none. */
bool weir_find_header(const weir_message *message, const char *name, weir_text *value);

/* One token of the subject, from 0: of `orders.berlin.paid`, token 1 is `berlin`. Empty where the
 * subject has fewer. */
weir_text weir_token(const weir_message *message, size_t index);

/* ---- What becomes of it -------------------------------------------------------------------- */

/* The outcome of one message, as it is being made. Without any call it drops the message. */
typedef struct weir_result weir_result;

/* One message to be published. What is not set is taken over from the input, and not copied. */
typedef struct weir_output weir_output;

/* Adds an output that is the input as it came; the setters below change it. */
weir_output *weir_emit(weir_result *result);

/* A subject, a key and a header that are not UTF-8 make the message a dead letter that says so. */
void weir_set_payload(weir_output *output, weir_text payload);
void weir_set_json(weir_output *output, const weir_writer *json);
/* Where it goes, before the pipeline's sink template is applied. */
void weir_set_subject(weir_output *output, weir_text subject);
void weir_set_key(weir_output *output, weir_text key);
/* An output with headers of its own takes over none of the input's. */
void weir_add_header(weir_output *output, weir_text name, weir_text value);
/* No headers at all, neither the input's nor those added so far. */
void weir_clear_headers(weir_output *output);

/* It is never going to work: a dead letter, with this reason. Outputs made so far are forgotten. */
void weir_reject(weir_result *result, const char *format, ...) __attribute__((format(printf, 2, 3)));

/* A passing fault: deliver the message again, with the pipeline's backoff. */
void weir_retry(weir_result *result, const char *format, ...) __attribute__((format(printf, 2, 3)));

/* The same, not before so many milliseconds. */
void weir_retry_after(weir_result *result, uint64_t milliseconds, const char *format, ...)
    __attribute__((format(printf, 3, 4)));

/* The payload as text; false, and the message rejected, where it is not UTF-8. */
bool weir_read_text(const weir_message *message, weir_result *result, weir_text *text);

/* The payload as JSON; NULL, and the message rejected with what is wrong and where, if it is not. */
const weir_json *weir_read_json(const weir_message *message, weir_result *result);

/* Ends the plugin's instance, for what must not happen: this message becomes a dead letter with
 * these words, and the others of its batch go through in a new instance. */
_Noreturn void weir_panic(const char *format, ...) __attribute__((format(printf, 1, 2)));

/* ---- What the plugin writes ---------------------------------------------------------------- */

/* Called for each message. The same message may come more than once, and the instance may be
 * replaced between any two calls: what you keep is a cache, not state. */
void weir_process(const weir_message *message, weir_result *result);

/* Called once on every new instance, with what stands under `config:` in the pipeline file (`null`
 * where there is nothing). NULL takes it; a reason keeps the pipeline from starting, and is printed
 * by `weir check`. Leave it out if there is nothing to configure. */
const char *weir_configure(const weir_json *config);

/* ---- Log, metrics, configuration ----------------------------------------------------------- */

typedef enum weir_level {
    WEIR_TRACE,
    WEIR_DEBUG,
    WEIR_INFO,
    WEIR_WARN,
    WEIR_ERROR,
} weir_level;

/* Whether entries of this level go anywhere. */
bool weir_log_enabled(weir_level level);
/* Writes one entry, if anybody listens. */
void weir_log(weir_level level, const char *format, ...) __attribute__((format(printf, 2, 3)));

/* Numbers on the host's `/metrics`. A name is 1 to 64 of `a-z 0-9 _`, beginning with a letter. */
void weir_metric_add(const char *name, uint64_t value);
void weir_metric_set(const char *name, double value);
void weir_metric_observe(const char *name, double value);

/* The configuration's value at a JSON pointer ("" is the whole); NULL where there is none. */
const weir_json *weir_config(const char *pointer);
weir_text weir_pipeline_name(void);
weir_text weir_operator_name(void);

#ifdef __cplusplus
}
#endif
#endif
