/*
 * weir_text.h - bytes with a length, and memory that is freed by itself. See weir.h.
 */
#ifndef WEIR_TEXT_H
#define WEIR_TEXT_H

#include <stdbool.h>
#include <stdint.h>
#include <stddef.h>
#include <string.h>

#ifdef __cplusplus
extern "C" {
#endif

/* Bytes that somebody else owns, usually UTF-8 text. Not ended by a zero: print it with
 * `"%.*s", (int)text.size, text.data`, or with the macro below as `"%.*s", WEIR_ARG(text)`. */
typedef struct weir_text {
    const char *data;
    size_t size;
} weir_text;

#define WEIR_ARG(text) (int)(text).size, (text).data

/* The text of a string that ends with a zero; not copied. */
static inline weir_text weir_text_of(const char *string) {
    weir_text text = {string, strlen(string)};
    return text;
}

static inline bool weir_text_equal(weir_text one, weir_text other) {
    return one.size == other.size && memcmp(one.data, other.data, one.size) == 0;
}

/* Whether it is the string that ends with a zero. */
static inline bool weir_text_is(weir_text text, const char *string) {
    return weir_text_equal(text, weir_text_of(string));
}

/* Memory until the call is over; in `weir_configure`, for as long as the instance lives. Never NULL:
 * an instance without memory ends, and the host isolates the message that needs so much. */
void *weir_alloc(size_t size);

/* `printf` into such memory. */
weir_text weir_format(const char *format, ...) __attribute__((format(printf, 1, 2)));

/* The same bytes until the call is over: `text` itself where it lives so long, as a message and what
 * `weir_alloc` returned do, and otherwise a copy. */
weir_text weir_for_call(weir_text text);

/* Whether the bytes are UTF-8; `at`, if not NULL, is where they stop to be. */
bool weir_is_utf8(weir_text text, size_t *at);

/* The text with a replacement character for each byte that is not UTF-8; itself where there is none. */
weir_text weir_printable(weir_text text);

#ifdef __cplusplus
}
#endif
#endif
