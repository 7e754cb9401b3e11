/*
 * weir_write.c - writing JSON. Part of the SDK.
 */
#include <math.h>
#include <stdio.h>
#include <stdlib.h>

#include "weir_json.h"
#include "weir_memory.h"
#include "weir_number.h"

weir_writer weir_write_json(void) {
    weir_writer json = {NULL, 0, 0, false};
    return json;
}

static void put(weir_writer *json, const char *data, size_t size) {
    if (json->capacity - json->size < size) {
        size_t capacity = json->capacity ? json->capacity * 2 : 128;
        while (capacity - json->size < size) capacity *= 2;
        json->data = weir_grow(json->data, json->size, capacity);
        json->capacity = capacity;
    }
    memcpy(json->data + json->size, data, size);
    json->size += size;
}

static void put_string(weir_writer *json, const char *string) { put(json, string, strlen(string)); }

/* A comma, if something stands before on this level. */
static void begin_value(weir_writer *json) {
    if (json->needs_comma) put(json, ",", 1);
    json->needs_comma = true;
}

static void open_level(weir_writer *json, const char *bracket) {
    begin_value(json);
    put(json, bracket, 1);
    json->needs_comma = false;
}

static void close_level(weir_writer *json, const char *bracket) {
    put(json, bracket, 1);
    json->needs_comma = true;
}

void weir_begin_object(weir_writer *json) { open_level(json, "{"); }
void weir_end_object(weir_writer *json) { close_level(json, "}"); }
void weir_begin_array(weir_writer *json) { open_level(json, "["); }
void weir_end_array(weir_writer *json) { close_level(json, "]"); }

static void quoted(weir_writer *json, weir_text text) {
    size_t plain = 0;
    put(json, "\"", 1);
    for (size_t index = 0; index < text.size; index++) {
        unsigned char c = (unsigned char)text.data[index];
        if (c >= 0x20 && c != '"' && c != '\\') continue;
        char escaped[8];
        int size = c == '"' || c == '\\' ? snprintf(escaped, sizeof escaped, "\\%c", c)
                                         : snprintf(escaped, sizeof escaped, "\\u%04x", c);
        put(json, text.data + plain, index - plain);
        put(json, escaped, (size_t)size);
        plain = index + 1;
    }
    put(json, text.data + plain, text.size - plain);
    put(json, "\"", 1);
}

void weir_write_name_text(weir_writer *json, weir_text name) {
    begin_value(json);
    quoted(json, name);
    put(json, ":", 1);
    json->needs_comma = false;
}

void weir_write_name(weir_writer *json, const char *name) {
    weir_write_name_text(json, weir_text_of(name));
}

void weir_write_null(weir_writer *json) {
    begin_value(json);
    put_string(json, "null");
}

void weir_write_bool(weir_writer *json, bool value) {
    begin_value(json);
    put_string(json, value ? "true" : "false");
}

static void put_digits(weir_writer *json, uint64_t value) {
    char text[24];
    char *at = text + sizeof text;
    do *--at = (char)('0' + value % 10);
    while (value /= 10);
    put(json, at, (size_t)(text + sizeof text - at));
}

void weir_write_int(weir_writer *json, int64_t value) {
    begin_value(json);
    uint64_t size = value < 0 ? -(uint64_t)value : (uint64_t)value;
    if (value < 0) put(json, "-", 1);
    put_digits(json, size);
}

void weir_write_uint(weir_writer *json, uint64_t value) {
    begin_value(json);
    put_digits(json, value);
}

/*
 * The fewest decimals, if they and all that is before them are an integer that a double holds: then one
 * division reads it again as it was. False where printing must be asked.
 */
static bool write_short_double(weir_writer *json, double value) {
    double size = fabs(value);
    if (size >= 1e15 || (size < 1e-5 && size > 0)) return false;
    for (int decimals = 1; decimals <= 15; decimals++) {
        double scaled = nearbyint(size * weir_tens[decimals]);
        if (scaled > (double)WEIR_EXACT) return false;
        if (scaled / weir_tens[decimals] != size) continue;
        char text[32];
        char *at = text + sizeof text;
        uint64_t digits = (uint64_t)scaled;
        for (int place = 0; place <= decimals || digits; place++) {
            if (place == decimals) *--at = '.';
            *--at = (char)('0' + digits % 10);
            digits /= 10;
        }
        if (signbit(value)) *--at = '-';
        begin_value(json);
        put(json, at, (size_t)(text + sizeof text - at));
        return true;
    }
    return false;
}

void weir_write_double(weir_writer *json, double value) {
    if (!isfinite(value)) {
        weir_write_null(json);
        return;
    }
    if (write_short_double(json, value)) return;
    char text[32];
    for (int digits = 15; digits <= 17; digits++) {
        snprintf(text, sizeof text, "%.*g", digits, value);
        if (strtod(text, NULL) == value) break;
    }
    begin_value(json);
    put_string(json, text);
    /* Read again it is a double, and -0.0 keeps its sign. */
    if (!strpbrk(text, ".e")) put_string(json, ".0");
}

void weir_write_text(weir_writer *json, weir_text value) {
    begin_value(json);
    quoted(json, value);
}

void weir_write_value(weir_writer *json, const weir_json *value) {
    switch (value->type) {
        case WEIR_JSON_NULL: weir_write_null(json); break;
        case WEIR_JSON_BOOL: weir_write_bool(json, value->boolean); break;
        case WEIR_JSON_INTEGER: weir_write_int(json, value->integer); break;
        case WEIR_JSON_UNSIGNED: weir_write_uint(json, value->unsigned_integer); break;
        case WEIR_JSON_DOUBLE: weir_write_double(json, value->number); break;
        case WEIR_JSON_STRING: weir_write_text(json, value->string); break;
        case WEIR_JSON_ARRAY:
            weir_begin_array(json);
            for (size_t index = 0; index < value->size; index++) {
                weir_write_value(json, &value->items[index]);
            }
            weir_end_array(json);
            break;
        case WEIR_JSON_OBJECT:
            weir_begin_object(json);
            for (size_t index = 0; index < value->size; index++) {
                weir_write_name_text(json, value->names[index]);
                weir_write_value(json, &value->items[index]);
            }
            weir_end_object(json);
            break;
    }
}
