/*
 * weir_state.c - the contract's imports of state and timers. Part of the SDK. What is exported for them
 * is in weir.c.
 */
#include "weir_state.h"

#define IMPORT(interface, name) \
    __attribute__((import_module("weir:state/" interface "@0.2.0"), import_name(name)))

typedef struct {
    const weir_optional_text *items;
    size_t size;
} values;

/* `result<_, string>` is laid out as an option of the error. */
typedef weir_optional_text refusal;

IMPORT("state", "get")
void host_state_get(const char *key, size_t key_size, const char *name, size_t name_size,
                    weir_optional_text *found);
IMPORT("state", "get-many")
void host_state_get_many(const weir_place *places, size_t size, values *found);
IMPORT("state", "set")
void host_state_set(const char *key, size_t key_size, const char *name, size_t name_size,
                    const char *value, size_t value_size, int32_t has_ttl, uint64_t ttl_ms,
                    refusal *refused);
IMPORT("state", "delete")
void host_state_delete(const char *key, size_t key_size, const char *name, size_t name_size);
IMPORT("state", "scan")
void host_state_scan(const char *key, size_t key_size, const char *prefix, size_t prefix_size,
                     int32_t has_after, const char *after, size_t after_size, uint32_t limit,
                     weir_entries *found);
IMPORT("timers", "now") uint64_t host_timers_now(int32_t clock);
IMPORT("timers", "set")
void host_timers_set(const char *key, size_t key_size, const char *tag, size_t tag_size,
                     int32_t clock, uint64_t at, refusal *refused);
IMPORT("timers", "cancel")
void host_timers_cancel(const char *key, size_t key_size, const char *tag, size_t tag_size);

weir_text weir_state_key(const weir_message *message) {
    return message->key.is_some ? message->key.value : weir_text_of("");
}

/* ---- Values as bytes ------------------------------------------------------------------------ */

bool weir_state_get(weir_text key, weir_text name, weir_text *value) {
    weir_optional_text found;
    host_state_get(key.data, key.size, name.data, name.size, &found);
    if (found.is_some) *value = found.value;
    return found.is_some;
}

const weir_optional_text *weir_state_get_many(const weir_place *places, size_t size) {
    values found;
    host_state_get_many(places, size, &found);
    return found.items;
}

bool weir_state_try_set(weir_text key, weir_text name, weir_text value, const uint64_t *milliseconds,
                        weir_text *reason) {
    refusal refused;
    host_state_set(key.data, key.size, name.data, name.size, value.data, value.size,
                   milliseconds != NULL, milliseconds ? *milliseconds : 0, &refused);
    *reason = refused.value;
    return !refused.is_some;
}

static bool accepted(bool is_set, weir_text reason, weir_result *result) {
    if (!is_set) weir_reject(result, "%.*s", WEIR_ARG(reason));
    return is_set;
}

bool weir_state_set(weir_text key, weir_text name, weir_text value, weir_result *result) {
    weir_text reason;
    bool is_set = weir_state_try_set(key, name, value, NULL, &reason);
    return accepted(is_set, reason, result);
}

bool weir_state_set_for(weir_text key, weir_text name, weir_text value, uint64_t milliseconds,
                        weir_result *result) {
    weir_text reason;
    bool is_set = weir_state_try_set(key, name, value, &milliseconds, &reason);
    return accepted(is_set, reason, result);
}

void weir_state_delete(weir_text key, weir_text name) {
    host_state_delete(key.data, key.size, name.data, name.size);
}

weir_entries weir_state_scan(weir_text key, weir_text prefix, const weir_text *after, uint32_t limit) {
    weir_text behind = after ? *after : weir_text_of("");
    weir_entries found;
    host_state_scan(key.data, key.size, prefix.data, prefix.size, after != NULL, behind.data,
                    behind.size, limit, &found);
    return found;
}

/* ---- Values as JSON ------------------------------------------------------------------------- */

const weir_json *weir_state_parse(const char *name, weir_text value, weir_result *result) {
    weir_text error;
    const weir_json *json = weir_parse_json(value, &error);
    if (!json) weir_reject(result, "cannot read the state `%s` as JSON: %.*s", name, WEIR_ARG(error));
    return json;
}

bool weir_state_get_json(weir_text key, const char *name, const weir_json **value,
                         weir_result *result) {
    weir_text text;
    *value = NULL;
    if (!weir_state_get(key, weir_text_of(name), &text)) return true;
    *value = weir_state_parse(name, text, result);
    return *value != NULL;
}

bool weir_state_set_json(weir_text key, const char *name, const weir_writer *json,
                         weir_result *result) {
    weir_text text = {json->data, json->size};
    return weir_state_set(key, weir_text_of(name), text, result);
}

bool weir_state_get_int(weir_text key, const char *name, int64_t *value, weir_result *result) {
    const weir_json *json;
    if (!weir_state_get_json(key, name, &json, result)) return false;
    if (!json) return true;
    if (json->type != WEIR_JSON_INTEGER) {
        weir_reject(result, "cannot read the state `%s` as JSON: it is no integer", name);
        return false;
    }
    *value = json->integer;
    return true;
}

bool weir_state_set_int(weir_text key, const char *name, int64_t value, weir_result *result) {
    weir_writer json = weir_write_json();
    weir_write_int(&json, value);
    return weir_state_set_json(key, name, &json, result);
}

/* ---- Timers --------------------------------------------------------------------------------- */

uint64_t weir_timer_now(weir_clock clock) { return host_timers_now((int32_t)clock); }

bool weir_timer_try_set(weir_text key, weir_text tag, weir_clock clock, uint64_t at,
                        weir_text *reason) {
    refusal refused;
    host_timers_set(key.data, key.size, tag.data, tag.size, (int32_t)clock, at, &refused);
    *reason = refused.value;
    return !refused.is_some;
}

bool weir_timer_set(weir_text key, weir_text tag, weir_clock clock, uint64_t at, weir_result *result) {
    weir_text reason;
    bool is_set = weir_timer_try_set(key, tag, clock, at, &reason);
    return accepted(is_set, reason, result);
}

uint64_t weir_timer_in(uint64_t milliseconds) {
    const uint64_t unit = 1000 * 1000;
    uint64_t now = weir_timer_now(WEIR_PROCESSING_TIME), most = (UINT64_MAX - now) / unit;
    return now + unit * (milliseconds < most ? milliseconds : most);
}

bool weir_timer_set_after(weir_text key, weir_text tag, uint64_t milliseconds, weir_result *result) {
    return weir_timer_set(key, tag, WEIR_PROCESSING_TIME, weir_timer_in(milliseconds), result);
}

void weir_timer_cancel(weir_text key, weir_text tag) {
    host_timers_cancel(key.data, key.size, tag.data, tag.size);
}
