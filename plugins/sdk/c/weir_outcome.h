/*
 * weir_outcome.h - what becomes of a message, as it crosses the border; for the SDK's own files.
 */
#ifndef WEIR_OUTCOME_H
#define WEIR_OUTCOME_H

#include "weir.h"

typedef struct {
    bool is_some;
    weir_headers value;
} optional_headers;

struct weir_output {
    weir_optional_text subject;
    weir_optional_text payload;
    optional_headers headers;
    weir_optional_text key;
};

typedef struct {
    bool is_some;
    uint64_t value;
} optional_u64;

enum { EMIT, RETRY, REJECT };

/* The contract's `outcome`. */
typedef struct {
    uint8_t tag;
    union {
        struct {
            weir_output *items;
            size_t size;
        } emit;
        struct {
            optional_u64 after_ms;
            weir_text reason;
        } retry;
        weir_text reject;
    };
} weir_outcome;

/* An outcome, and the room that its list of outputs has; outputs are handed out by address, so they
 * are kept apart until the message is done. */
struct weir_result {
    weir_outcome outcome;
    weir_output **outputs;
    size_t size;
    size_t capacity;
};

/* The outcome as it crosses the border. What the host could not read is a rejection. */
weir_outcome weir_finished(weir_result *result);

#endif
