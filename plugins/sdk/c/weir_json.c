/*
 * weir_json.c - reading JSON (RFC 8259) into values. Writing is in weir_write.c. Part of the SDK.
 *
 * The values point into the text where they can: only strings with escapes are copied.
 */
#include "weir_json.h"

#include <errno.h>
#include <math.h>
#include <stdlib.h>

#include "weir_memory.h"
#include "weir_number.h"

/* Arrays and objects within each other; more is somebody's joke, and would end the stack. */
enum { DEEPEST = 128 };

typedef struct {
    const char *start;
    const char *at;
    const char *end;
    /* What is wrong at `at`; NULL while all is well. */
    const char *wrong;
    int depth;
} reader;

const double weir_tens[WEIR_TENS] = {1e0,  1e1,  1e2,  1e3,  1e4,  1e5,  1e6,  1e7,
                                     1e8,  1e9,  1e10, 1e11, 1e12, 1e13, 1e14, 1e15,
                                     1e16, 1e17, 1e18, 1e19, 1e20, 1e21, 1e22};

static bool value(reader *in, weir_json *out);

static bool fail(reader *in, const char *wrong) {
    if (!in->wrong) in->wrong = wrong;
    return false;
}

static void skip_space(reader *in) {
    while (in->at < in->end) {
        char c = *in->at;
        if (c != ' ' && c != '\t' && c != '\n' && c != '\r') return;
        in->at++;
    }
}

/* The next character that is not white space; 0 at the end. */
static char peek(reader *in) {
    skip_space(in);
    return in->at < in->end ? *in->at : '\0';
}

static bool take(reader *in, char wanted) {
    if (peek(in) != wanted || in->at == in->end) return false;
    in->at++;
    return true;
}

static bool word(reader *in, const char *wanted) {
    size_t size = strlen(wanted);
    if ((size_t)(in->end - in->at) < size || memcmp(in->at, wanted, size) != 0) {
        return fail(in, "expected a value");
    }
    in->at += size;
    return true;
}

/* ---- Strings -------------------------------------------------------------------------------- */

static bool hex4(reader *in, uint32_t *code) {
    *code = 0;
    for (int digit = 0; digit < 4; digit++, in->at++) {
        char c = in->at < in->end ? *in->at : '\0';
        uint32_t value = c >= '0' && c <= '9'   ? (uint32_t)(c - '0')
                         : c >= 'a' && c <= 'f' ? (uint32_t)(c - 'a' + 10)
                         : c >= 'A' && c <= 'F' ? (uint32_t)(c - 'A' + 10)
                                                : 16;
        if (value == 16) return fail(in, "expected four hexadecimal digits");
        *code = *code * 16 + value;
    }
    return true;
}

static char *put_utf8(char *to, uint32_t code) {
    if (code < 0x80) {
        *to++ = (char)code;
    } else if (code < 0x800) {
        *to++ = (char)(0xc0 | code >> 6);
        *to++ = (char)(0x80 | (code & 0x3f));
    } else if (code < 0x10000) {
        *to++ = (char)(0xe0 | code >> 12);
        *to++ = (char)(0x80 | (code >> 6 & 0x3f));
        *to++ = (char)(0x80 | (code & 0x3f));
    } else {
        *to++ = (char)(0xf0 | code >> 18);
        *to++ = (char)(0x80 | (code >> 12 & 0x3f));
        *to++ = (char)(0x80 | (code >> 6 & 0x3f));
        *to++ = (char)(0x80 | (code & 0x3f));
    }
    return to;
}

/* What stands behind a backslash, as UTF-8. */
static char *escape(reader *in, char *to) {
    static const char names[] = "\"\\/bfnrt", meant[] = "\"\\/\b\f\n\r\t";
    char c = in->at < in->end ? *in->at++ : '\0';
    const char *simple = c ? strchr(names, c) : NULL;
    if (simple) {
        *to++ = meant[simple - names];
        return to;
    }
    uint32_t code, low;
    if (c != 'u') return fail(in, "expected an escape"), to;
    if (!hex4(in, &code)) return to;
    if (code >= 0xdc00 && code < 0xe000) return fail(in, "half a surrogate pair"), to;
    if (code >= 0xd800 && code < 0xdc00) {
        bool second = in->end - in->at >= 2 && in->at[0] == '\\' && in->at[1] == 'u';
        if (second) in->at += 2;
        if (!second || !hex4(in, &low) || low < 0xdc00 || low >= 0xe000) {
            return fail(in, "half a surrogate pair"), to;
        }
        code = 0x10000 + ((code - 0xd800) << 10) + (low - 0xdc00);
    }
    return put_utf8(to, code);
}

/* A string; the opening quote is taken. */
static bool string(reader *in, weir_text *out) {
    const char *start = in->at;
    bool escapes = false;
    while (in->at < in->end && *in->at != '"') {
        if ((unsigned char)*in->at < 0x20) return fail(in, "a control character in a string");
        if (*in->at == '\\') {
            escapes = true;
            in->at++;
        }
        if (in->at < in->end) in->at++;
    }
    if (in->at == in->end) return fail(in, "the string does not end");
    const char *end = in->at++;
    out->data = start;
    out->size = (size_t)(end - start);
    if (!escapes) return true;
    char *copy = weir_alloc(out->size), *to = copy;
    reader inside = {in->start, start, end, NULL, 0};
    while (inside.at < end) {
        if (*inside.at != '\\') {
            *to++ = *inside.at++;
            continue;
        }
        inside.at++;
        to = escape(&inside, to);
        if (inside.wrong) {
            in->at = inside.at;
            return fail(in, inside.wrong);
        }
    }
    out->data = copy;
    out->size = (size_t)(to - copy);
    return true;
}

/* ---- Numbers -------------------------------------------------------------------------------- */

static void digits(reader *in) {
    while (in->at < in->end && *in->at >= '0' && *in->at <= '9') in->at++;
}

/*
 * The double that a number without an exponent stands for, where one rounding is enough: its digits
 * make an integer that a double holds, and so does the power of ten that divides it (W. D. Clinger,
 * "How to read floating point numbers accurately", 1990). That is nearly every number that people
 * write, and a tenth of the time of `strtod`.
 */
static bool short_double(const char *at, const char *end, double *out) {
    bool negative = *at == '-';
    uint64_t digits = 0;
    const char *point = NULL;
    for (at += negative; at < end; at++) {
        if (*at == '.') {
            point = at + 1;
            continue;
        }
        if (*at == 'e' || *at == 'E') return false;
        digits = digits * 10 + (uint64_t)(*at - '0');
        if (digits > WEIR_EXACT) return false;
    }
    size_t decimals = point ? (size_t)(end - point) : 0;
    if (decimals >= WEIR_TENS) return false;
    double value = (double)digits / weir_tens[decimals];
    *out = negative ? -value : value;
    return true;
}

static bool number(reader *in, weir_json *out) {
    const char *start = in->at;
    if (*in->at == '-') in->at++;
    const char *first = in->at;
    digits(in);
    if (in->at == first) return fail(in, "expected a value");
    if (*first == '0' && in->at > first + 1) return fail(in, "a number does not begin with 0");
    bool whole = true;
    if (in->at < in->end && *in->at == '.') {
        const char *point = ++in->at;
        digits(in);
        whole = false;
        if (in->at == point) return fail(in, "expected a digit");
    }
    if (in->at < in->end && (*in->at == 'e' || *in->at == 'E')) {
        in->at++;
        if (in->at < in->end && (*in->at == '+' || *in->at == '-')) in->at++;
        const char *exponent = in->at;
        digits(in);
        whole = false;
        if (in->at == exponent) return fail(in, "expected a digit");
    }
    if (!whole && short_double(start, in->at, &out->number)) {
        out->type = WEIR_JSON_DOUBLE;
        return true;
    }
    /* The functions of C want a zero at the end. */
    size_t size = (size_t)(in->at - start);
    char *text = weir_alloc(size + 1);
    memcpy(text, start, size);
    text[size] = '\0';
    if (whole) {
        errno = 0;
        out->type = WEIR_JSON_INTEGER;
        out->integer = strtoll(text, NULL, 10);
        if (errno == 0) return true;
        errno = 0;
        out->type = WEIR_JSON_UNSIGNED;
        out->unsigned_integer = strtoull(text, NULL, 10);
        if (errno == 0 && *text != '-') return true;
    }
    out->type = WEIR_JSON_DOUBLE;
    out->number = strtod(text, NULL);
    if (isinf(out->number)) return fail(in, "a number that is too large");
    return true;
}

/* ---- Arrays and objects --------------------------------------------------------------------- */

/* The items of an array or the members of an object; the opening bracket is taken. */
static bool items(reader *in, weir_json *out, char closing) {
    bool named = closing == '}';
    size_t capacity = 0;
    out->type = named ? WEIR_JSON_OBJECT : WEIR_JSON_ARRAY;
    out->items = NULL;
    out->names = NULL;
    out->size = 0;
    if (take(in, closing)) return true;
    if (++in->depth > DEEPEST) return fail(in, "too many levels");
    do {
        if (out->size == capacity) {
            size_t more = capacity ? capacity * 2 : 4;
            out->items = weir_grow(out->items, capacity * sizeof(weir_json), more * sizeof(weir_json));
            if (named) {
                out->names =
                    weir_grow(out->names, capacity * sizeof(weir_text), more * sizeof(weir_text));
            }
            capacity = more;
        }
        if (named) {
            if (!take(in, '"')) return fail(in, "expected a name in quotes");
            if (!string(in, &out->names[out->size])) return false;
            if (!take(in, ':')) return fail(in, "expected `:`");
        }
        if (!value(in, &out->items[out->size])) return false;
        out->size++;
    } while (take(in, ','));
    if (!take(in, closing)) return fail(in, named ? "expected `,` or `}`" : "expected `,` or `]`");
    in->depth--;
    return true;
}

static bool value(reader *in, weir_json *out) {
    switch (peek(in)) {
        case '{': in->at++; return items(in, out, '}');
        case '[': in->at++; return items(in, out, ']');
        case '"': in->at++; out->type = WEIR_JSON_STRING; return string(in, &out->string);
        case 't': out->type = WEIR_JSON_BOOL; out->boolean = true; return word(in, "true");
        case 'f': out->type = WEIR_JSON_BOOL; out->boolean = false; return word(in, "false");
        case 'n': out->type = WEIR_JSON_NULL; return word(in, "null");
        case '\0': return fail(in, in->at == in->end ? "the text ends early" : "expected a value");
        default: return number(in, out);
    }
}

const weir_json *weir_parse_json(weir_text text, weir_text *error) {
    size_t at;
    if (!weir_is_utf8(text, &at)) {
        *error = weir_format("not UTF-8 at byte %zu", at);
        return NULL;
    }
    reader in = {text.data, text.data, text.data + text.size, NULL, 0};
    weir_json *json = weir_alloc(sizeof *json);
    bool done = value(&in, json);
    if (done && (skip_space(&in), in.at < in.end)) done = fail(&in, "more follows the value");
    if (done) return json;
    *error = weir_format("%s at byte %zu", in.wrong, (size_t)(in.at - in.start));
    return NULL;
}

/* ---- Looking things up ---------------------------------------------------------------------- */

const weir_json *weir_get(const weir_json *object, const char *name) {
    if (!object || object->type != WEIR_JSON_OBJECT) return NULL;
    for (size_t index = object->size; index-- > 0;) {
        if (weir_text_is(object->names[index], name)) return &object->items[index];
    }
    return NULL;
}

bool weir_get_bool(const weir_json *object, const char *name, bool *value) {
    const weir_json *found = weir_get(object, name);
    if (!found || found->type != WEIR_JSON_BOOL) return false;
    *value = found->boolean;
    return true;
}

bool weir_get_int(const weir_json *object, const char *name, int64_t *value) {
    const weir_json *found = weir_get(object, name);
    if (!found || found->type != WEIR_JSON_INTEGER) return false;
    *value = found->integer;
    return true;
}

bool weir_get_uint(const weir_json *object, const char *name, uint64_t *value) {
    const weir_json *found = weir_get(object, name);
    if (!found) return false;
    if (found->type == WEIR_JSON_INTEGER && found->integer >= 0) {
        *value = (uint64_t)found->integer;
        return true;
    }
    if (found->type != WEIR_JSON_UNSIGNED) return false;
    *value = found->unsigned_integer;
    return true;
}

bool weir_get_double(const weir_json *object, const char *name, double *value) {
    const weir_json *found = weir_get(object, name);
    if (!found) return false;
    switch (found->type) {
        case WEIR_JSON_INTEGER: *value = (double)found->integer; return true;
        case WEIR_JSON_UNSIGNED: *value = (double)found->unsigned_integer; return true;
        case WEIR_JSON_DOUBLE: *value = found->number; return true;
        default: return false;
    }
}

bool weir_get_text(const weir_json *object, const char *name, weir_text *value) {
    const weir_json *found = weir_get(object, name);
    if (!found || found->type != WEIR_JSON_STRING) return false;
    *value = found->string;
    return true;
}
