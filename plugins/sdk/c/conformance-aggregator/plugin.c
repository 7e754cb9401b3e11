/*
 * The aggregator of the conformance suite, in C: see plugins/sdk/conformance/README.md. Its accumulator is
 * JSON.
 */
#include "sdk/weir_window.h"

static const weir_json *answer;

typedef struct got {
    uint64_t count;
    int64_t sum;
    bool has_first;
    uint64_t first;
    weir_text *words;
    size_t size;
} got;

const char *weir_configure(const weir_json *config) {
    weir_text reason;
    if (weir_get_text(config, "refuse", &reason)) return weir_format("%.*s", WEIR_ARG(reason)).data;
    answer = weir_get(config, "answer");
    return NULL;
}

/* The accumulator, with room for more words; all zero where it is empty. */
static got read(weir_text accumulator, size_t more) {
    got got = {0};
    weir_text error;
    const weir_json *json = accumulator.size ? weir_parse_json(accumulator, &error) : NULL;
    if (accumulator.size && !json) weir_panic("no JSON: %.*s", WEIR_ARG(error));
    weir_get_uint(json, "count", &got.count);
    weir_get_int(json, "sum", &got.sum);
    got.has_first = weir_get_uint(json, "first", &got.first);
    const weir_json *words = weir_get(json, "words");
    got.size = words ? words->size : 0;
    got.words = weir_alloc((got.size + more) * sizeof *got.words);
    for (size_t at = 0; at < got.size; at++) got.words[at] = words->items[at].string;
    return got;
}

static void members(weir_writer *json, const got *got) {
    weir_write_name(json, "count");
    weir_write_uint(json, got->count);
    weir_write_name(json, "sum");
    weir_write_int(json, got->sum);
    weir_write_name(json, "first");
    if (got->has_first) {
        weir_write_uint(json, got->first);
    } else {
        weir_write_null(json);
    }
    weir_write_name(json, "words");
    weir_begin_array(json);
    for (size_t at = 0; at < got->size; at++) weir_write_text(json, got->words[at]);
    weir_end_array(json);
}

static weir_text written(const got *got) {
    weir_writer json = weir_write_json();
    weir_begin_object(&json);
    members(&json, got);
    weir_end_object(&json);
    return (weir_text){json.data, json.size};
}

static bool told(const got *got, const char *word) {
    for (size_t at = 0; at < got->size; at++) {
        if (weir_text_is(got->words[at], word)) return true;
    }
    return false;
}

static void take_first(got *got, uint64_t first) {
    if (!got->has_first || first < got->first) got->first = first;
    got->has_first = true;
}

static bool accepts(const weir_message *message, weir_result *result) {
    weir_text which = weir_token(message, 1);
    if (weir_text_is(which, "add")) return true;
    if (weir_text_is(which, "raise")) weir_panic("told to raise");
    if (weir_text_is(which, "reject")) {
        weir_reject(result, "told to reject");
    } else if (weir_text_is(which, "retry")) {
        weir_retry(result, "told to retry");
    } else {
        weir_reject(result, "no such case: %.*s", WEIR_ARG(which));
    }
    return false;
}

void weir_add(weir_text *accumulator, const weir_message *messages, size_t size, weir_result *result) {
    got got = read(*accumulator, size);
    for (size_t at = 0; at < size; at++) {
        const weir_json *given = weir_read_json(&messages[at], result);
        if (!given || !accepts(&messages[at], result)) return;
        int64_t n = 0;
        weir_get_int(given, "n", &n);
        got.count++;
        got.sum += n;
        take_first(&got, messages[at].event_time);
        if (weir_get_text(given, "word", &got.words[got.size])) got.size++;
    }
    *accumulator = written(&got);
}

void weir_merge(weir_text *left, weir_text right, weir_result *result) {
    got more = read(right, 0);
    got got = read(*left, more.size);
    if (told(&got, "clash") && told(&more, "clash")) {
        weir_reject(result, "told to clash");
        return;
    }
    got.count += more.count;
    got.sum += more.sum;
    if (more.has_first) take_first(&got, more.first);
    memcpy(got.words + got.size, more.words, more.size * sizeof *more.words);
    got.size += more.size;
    *left = written(&got);
}

static void emit_many(weir_result *result) {
    for (int64_t index = 0; index < 2; index++) {
        weir_writer json = weir_write_json();
        weir_begin_object(&json);
        weir_write_name(&json, "index");
        weir_write_int(&json, index);
        weir_end_object(&json);
        weir_set_json(weir_emit(result), &json);
    }
}

static void emit_all(weir_result *result) {
    weir_output *output = weir_emit(result);
    weir_set_payload(output, weir_text_of("set"));
    weir_set_subject(output, weir_text_of("elsewhere"));
    weir_set_key(output, weir_text_of("other"));
    weir_add_header(output, weir_text_of("Own"), weir_text_of("header"));
}

static void emit_got(const weir_pane *pane, const got *got, weir_result *result) {
    weir_writer json = weir_write_json();
    weir_begin_object(&json);
    weir_write_name(&json, "key");
    weir_write_text(&json, pane->key);
    weir_write_name(&json, "start");
    weir_write_int(&json, pane->start);
    weir_write_name(&json, "end");
    weir_write_int(&json, pane->end);
    weir_write_name(&json, "timing");
    weir_write_text(&json, weir_text_of(weir_timing_name(pane->timing)));
    weir_write_name(&json, "index");
    weir_write_uint(&json, pane->index);
    members(&json, got);
    weir_write_name(&json, "answer");
    if (answer) {
        weir_write_value(&json, answer);
    } else {
        weir_write_null(&json);
    }
    weir_end_object(&json);
    weir_set_json(weir_emit(result), &json);
}

void weir_emit_pane(const weir_pane *pane, weir_result *result) {
    got got = read(pane->accumulator, 0);
    if (told(&got, "raise")) weir_panic("told to raise a window");
    if (told(&got, "none")) return;
    if (told(&got, "reject")) {
        weir_reject(result, "told to reject a window");
    } else if (told(&got, "many")) {
        emit_many(result);
    } else if (told(&got, "set")) {
        emit_all(result);
    } else {
        emit_got(pane, &got, result);
    }
}
