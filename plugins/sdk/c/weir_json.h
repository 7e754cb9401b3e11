/*
 * weir_json.h - reading and writing JSON. Integers of 64 bits are exact. See weir.h for how long
 * values live: to the end of the call.
 */
#ifndef WEIR_JSON_H
#define WEIR_JSON_H

#include "weir_text.h"

#ifdef __cplusplus
extern "C" {
#endif

typedef enum weir_json_type {
    WEIR_JSON_NULL,
    WEIR_JSON_BOOL,
    /* A number without fraction and exponent that fits `int64_t`. */
    WEIR_JSON_INTEGER,
    /* One above that, which fits `uint64_t`. */
    WEIR_JSON_UNSIGNED,
    /* Any other number. */
    WEIR_JSON_DOUBLE,
    WEIR_JSON_STRING,
    WEIR_JSON_ARRAY,
    WEIR_JSON_OBJECT,
} weir_json_type;

/* A JSON value. `items` of an object are its values, `names` their names, in the order of the text. */
typedef struct weir_json {
    weir_json_type type;
    union {
        bool boolean;
        int64_t integer;
        uint64_t unsigned_integer;
        double number;
        weir_text string;
        struct {
            struct weir_json *items;
            weir_text *names;
            size_t size;
        };
    };
} weir_json;

/* Reads one JSON text; NULL where it is none, with what is wrong and where in `error`. */
const weir_json *weir_parse_json(weir_text text, weir_text *error);

/* A member of an object: the last of that name; NULL where there is none, or no object. */
const weir_json *weir_get(const weir_json *object, const char *name);

/* A member as a C value: false where there is none, or of another type, and `value` is as it was. */
bool weir_get_bool(const weir_json *object, const char *name, bool *value);
bool weir_get_int(const weir_json *object, const char *name, int64_t *value);
bool weir_get_uint(const weir_json *object, const char *name, uint64_t *value);
/* Any number; integers past 2^53 are rounded. */
bool weir_get_double(const weir_json *object, const char *name, double *value);
bool weir_get_text(const weir_json *object, const char *name, weir_text *value);

/* A JSON text as it is being written. Commas are the writer's business. */
typedef struct weir_writer {
    char *data;
    size_t size;
    size_t capacity;
    bool needs_comma;
} weir_writer;

weir_writer weir_write_json(void);
void weir_begin_object(weir_writer *json);
void weir_end_object(weir_writer *json);
void weir_begin_array(weir_writer *json);
void weir_end_array(weir_writer *json);
/* The name of the member whose value is written next. */
void weir_write_name(weir_writer *json, const char *name);
void weir_write_name_text(weir_writer *json, weir_text name);
void weir_write_null(weir_writer *json);
void weir_write_bool(weir_writer *json, bool value);
void weir_write_int(weir_writer *json, int64_t value);
void weir_write_uint(weir_writer *json, uint64_t value);
/* The shortest text that reads as the same number; `null` for what is not finite. */
void weir_write_double(weir_writer *json, double value);
void weir_write_text(weir_writer *json, weir_text value);
/* A value that was read, written again. */
void weir_write_value(weir_writer *json, const weir_json *value);

#ifdef __cplusplus
}
#endif
#endif
