/*
 * The plugin with state of the conformance suite, in C: see plugins/sdk/conformance/README.md.
 */
#include <inttypes.h>

#include "sdk/weir_state.h"

static bool count(weir_text key, int64_t *value, weir_result *result) {
    *value = 0;
    if (!weir_state_get_int(key, "count", value, result)) return false;
    return weir_state_set_int(key, "count", ++*value, result);
}

static void emit(weir_result *result, weir_writer *json) {
    weir_end_object(json);
    weir_set_json(weir_emit(result), json);
}

static weir_writer begin(const char *name) {
    weir_writer json = weir_write_json();
    weir_begin_object(&json);
    weir_write_name(&json, name);
    return json;
}

static void write_or_null(weir_writer *json, const weir_json *value) {
    if (value) {
        weir_write_value(json, value);
    } else {
        weir_write_null(json);
    }
}

static void counts(const weir_json *keys, weir_result *result) {
    weir_place *places = weir_alloc(keys->size * sizeof *places);
    for (size_t index = 0; index < keys->size; index++) {
        places[index].key = keys->items[index].string;
        places[index].name = weir_text_of("count");
    }
    const weir_optional_text *found = weir_state_get_many(places, keys->size);
    weir_writer json = begin("counts");
    weir_begin_array(&json);
    for (size_t index = 0; index < keys->size; index++) {
        const weir_json *value = NULL;
        if (found[index].is_some) {
            value = weir_state_parse("count", found[index].value, result);
            if (!value) return;
        }
        write_or_null(&json, value);
    }
    weir_end_array(&json);
    emit(result, &json);
}

static void put(weir_text key, weir_text name, weir_text value, const weir_json *given,
                weir_result *result) {
    uint64_t ttl_ms;
    if (weir_get_uint(given, "ttl_ms", &ttl_ms)) {
        weir_state_set_for(key, name, value, ttl_ms, result);
    } else {
        weir_state_set(key, name, value, result);
    }
}

static void set_note(weir_text key, const weir_json *given, weir_result *result) {
    const weir_json *note = weir_get(given, "note");
    weir_text text = {"", 0};
    int64_t n = 0;
    weir_get_text(note, "text", &text);
    weir_get_int(note, "n", &n);
    weir_writer json = begin("text");
    weir_write_text(&json, text);
    weir_write_name(&json, "n");
    weir_write_int(&json, n);
    weir_end_object(&json);
    put(key, weir_text_of("note"), (weir_text){json.data, json.size}, given, result);
}

static void read_note(weir_text key, weir_result *result) {
    const weir_json *note;
    if (!weir_state_get_json(key, "note", &note, result)) return;
    weir_writer json = begin("note");
    write_or_null(&json, note);
    emit(result, &json);
}

static void fill(weir_text key, weir_text name, const weir_json *given, weir_result *result) {
    uint64_t size = 0;
    weir_get_uint(given, "bytes", &size);
    char *bytes = weir_alloc(size);
    memset(bytes, 'x', size);
    weir_state_set(key, name, (weir_text){bytes, size}, result);
}

static void scan(weir_text key, const weir_json *given, weir_result *result) {
    weir_text prefix = {"", 0}, after;
    uint64_t limit = 0;
    weir_get_text(given, "prefix", &prefix);
    bool follows = weir_get_text(given, "after", &after);
    weir_get_uint(given, "limit", &limit);
    weir_entries found = weir_state_scan(key, prefix, follows ? &after : NULL, (uint32_t)limit);
    weir_writer json = begin("found");
    weir_begin_array(&json);
    for (size_t index = 0; index < found.size; index++) {
        weir_begin_array(&json);
        weir_write_text(&json, found.items[index].name);
        weir_write_text(&json, found.items[index].value);
        weir_end_array(&json);
    }
    weir_end_array(&json);
    emit(result, &json);
}

static void set_timer(weir_text key, weir_text tag, const weir_json *given, weir_result *result) {
    uint64_t time = 0;
    if (weir_get_uint(given, "event_time", &time)) {
        weir_timer_set(key, tag, WEIR_EVENT_TIME, time, result);
    } else {
        weir_get_uint(given, "after_ms", &time);
        weir_timer_set_after(key, tag, time, result);
    }
}

/* Counts, and ends badly. */
static void end(weir_text word, weir_text key, weir_result *result) {
    int64_t value;
    if (!count(key, &value, result)) return;
    if (weir_text_is(word, "reject")) {
        weir_reject(result, "told to reject");
    } else if (weir_text_is(word, "retry")) {
        weir_retry(result, "told to retry");
    } else if (weir_text_is(word, "raise")) {
        weir_panic("told to raise");
    } else {
        weir_reject(result, "no such case: %.*s", WEIR_ARG(word));
    }
}

void weir_process(const weir_message *message, weir_result *result) {
    weir_text word = weir_token(message, 1), key = weir_state_key(message);
    const weir_json *given = weir_read_json(message, result);
    if (!given) return;
    weir_text name = {"", 0}, text = {"", 0}, tag = {"", 0};
    weir_get_text(given, "name", &name);
    weir_get_text(given, "text", &text);
    weir_get_text(given, "tag", &tag);
    if (weir_text_is(word, "count")) {
        int64_t value;
        if (!count(key, &value, result)) return;
        weir_set_payload(weir_emit(result), weir_format("{\"count\":%" PRId64 "}", value));
    } else if (weir_text_is(word, "counts")) {
        counts(weir_get(given, "keys"), result);
    } else if (weir_text_is(word, "note")) {
        set_note(key, given, result);
    } else if (weir_text_is(word, "read")) {
        read_note(key, result);
    } else if (weir_text_is(word, "forget")) {
        weir_state_delete(key, weir_text_of("count"));
        weir_state_delete(key, weir_text_of("note"));
    } else if (weir_text_is(word, "put")) {
        put(key, name, text, given, result);
    } else if (weir_text_is(word, "fill")) {
        fill(key, name, given, result);
    } else if (weir_text_is(word, "remove")) {
        weir_state_delete(key, name);
    } else if (weir_text_is(word, "scan")) {
        scan(key, given, result);
    } else if (weir_text_is(word, "timer")) {
        set_timer(key, tag, given, result);
    } else if (weir_text_is(word, "cancel")) {
        weir_timer_cancel(key, tag);
    } else if (weir_text_is(word, "now")) {
        weir_writer json = begin("event");
        weir_write_uint(&json, weir_timer_now(WEIR_EVENT_TIME));
        weir_write_name(&json, "processing");
        weir_write_uint(&json, weir_timer_now(WEIR_PROCESSING_TIME));
        emit(result, &json);
    } else {
        end(word, key, result);
    }
}

void weir_on_timer(const weir_timer *timer, weir_result *result) {
    if (!weir_text_is(timer->tag, "count")) {
        end(timer->tag, timer->key, result);
        return;
    }
    int64_t value;
    if (!count(timer->key, &value, result)) return;
    weir_writer json = begin("count");
    weir_write_int(&json, value);
    weir_write_name(&json, "key");
    weir_write_text(&json, timer->key);
    weir_write_name(&json, "clock");
    weir_write_text(&json, weir_text_of(timer->clock == WEIR_EVENT_TIME ? "event" : "processing"));
    weir_write_name(&json, "at");
    weir_write_uint(&json, timer->at);
    emit(result, &json);
}
