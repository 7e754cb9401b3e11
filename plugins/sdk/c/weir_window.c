/*
 * weir_window.c - the contract's exports for windows: loops over what is added, merged and emitted. Part of
 * the SDK.
 */
#include "weir_window.h"

#include "weir_memory.h"
#include "weir_outcome.h"

const char *weir_timing_name(uint8_t timing) {
    static const char *const names[] = {"early", "on-time", "late"};
    return names[timing];
}

bool weir_read_accumulator(weir_text accumulator, void *value, size_t size, weir_result *result) {
    if (accumulator.size == 0) {
        memset(value, 0, size);
        return true;
    }
    if (accumulator.size != size) {
        weir_reject(result, "the accumulator has %zu bytes and should have %zu", accumulator.size, size);
        return false;
    }
    memcpy(value, accumulator.data, size);
    return true;
}

weir_text weir_write_accumulator(const void *value, size_t size) {
    return weir_for_call((weir_text){value, size});
}

#ifdef WEIR_AGGREGATOR

#define EXPORT(name) __attribute__((export_name("weir:window/aggregation@0.2.0#" name)))
#define AFTER(name) __attribute__((export_name("cabi_post_weir:window/aggregation@0.2.0#" name)))

/* The contract's `addition`. */
typedef struct {
    weir_text key;
    weir_text accumulator;
    const weir_message *messages;
    size_t size;
} addition;

/* The contract's `pair`. */
typedef struct {
    weir_text key;
    weir_text left;
    weir_text right;
} pair;

/* `result` of an accumulator or of outputs, and otherwise a reason. */
typedef struct {
    uint8_t is_error;
    union {
        weir_text accumulator;
        weir_text reason;
        struct {
            weir_output *items;
            size_t size;
        } outputs;
    };
} answer;

_Static_assert(sizeof(weir_pane) == 40, "a pane is laid out as in the contract");
_Static_assert(sizeof(answer) == 12, "an answer is laid out as in the contract");

typedef struct {
    answer *items;
    size_t size;
} answers;

static answers *begin(size_t size) {
    static answers all;
    all.items = weir_alloc(size * sizeof *all.items);
    all.size = size;
    return &all;
}

/* Of outputs, where it went well. */
static answer answered(weir_result *result) {
    weir_outcome outcome = weir_finished(result);
    answer answer = {.is_error = outcome.tag != EMIT};
    if (outcome.tag == EMIT) {
        answer.outputs.items = outcome.emit.items;
        answer.outputs.size = outcome.emit.size;
    } else {
        answer.reason = outcome.tag == RETRY ? outcome.retry.reason : outcome.reject;
    }
    return answer;
}

static answer accumulated(weir_text accumulator, weir_result *result) {
    answer answer = answered(result);
    if (!answer.is_error) answer.accumulator = weir_for_call(accumulator);
    return answer;
}

EXPORT("add")
answers *export_add(const addition *additions, size_t size) {
    answers *all = begin(size);
    for (size_t index = 0; index < size; index++) {
        const addition *one = &additions[index];
        weir_text accumulator = one->accumulator;
        weir_result result = {0};
        weir_add(&accumulator, one->messages, one->size, &result);
        all->items[index] = accumulated(accumulator, &result);
    }
    return all;
}

EXPORT("merge")
answers *export_merge(const pair *pairs, size_t size) {
    answers *all = begin(size);
    for (size_t index = 0; index < size; index++) {
        weir_text merged = pairs[index].left;
        weir_result result = {0};
        weir_merge(&merged, pairs[index].right, &result);
        all->items[index] = accumulated(merged, &result);
    }
    return all;
}

EXPORT("emit")
answers *export_emit(const weir_pane *panes, size_t size) {
    answers *all = begin(size);
    for (size_t index = 0; index < size; index++) {
        weir_result result = {0};
        weir_emit_pane(&panes[index], &result);
        all->items[index] = answered(&result);
    }
    return all;
}

AFTER("add")
void export_added(const void *answer) {
    (void)answer;
    weir_forget();
}

AFTER("merge")
void export_merged(const void *answer) {
    (void)answer;
    weir_forget();
}

AFTER("emit")
void export_emitted(const void *answer) {
    (void)answer;
    weir_forget();
}

#endif
