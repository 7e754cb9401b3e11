/*
 * weir_text.c - what is UTF-8, and what to do where it is not. Part of the SDK.
 */
#include "weir_text.h"

bool weir_is_utf8(weir_text text, size_t *at) {
    const uint8_t *bytes = (const uint8_t *)text.data;
    size_t index = 0;
    while (index < text.size) {
        uint8_t first = bytes[index];
        /* How many bytes follow (SIZE_MAX: it begins none), and the least and greatest second byte (Unicode 15, table 3-7). */
        size_t more = first < 0x80   ? 0
                      : first < 0xc2 ? SIZE_MAX
                      : first < 0xe0 ? 1
                      : first < 0xf0 ? 2
                      : first < 0xf5 ? 3
                                     : SIZE_MAX;
        uint8_t least = first == 0xe0 ? 0xa0 : first == 0xf0 ? 0x90 : 0x80;
        uint8_t most = first == 0xed ? 0x9f : first == 0xf4 ? 0x8f : 0xbf;
        bool fits = more < text.size - index;
        if (fits && more > 0) fits = bytes[index + 1] >= least && bytes[index + 1] <= most;
        for (size_t next = 2; fits && next <= more; next++) {
            fits = (bytes[index + next] & 0xc0) == 0x80;
        }
        if (!fits) {
            if (at) *at = index;
            return false;
        }
        index += more + 1;
    }
    return true;
}

weir_text weir_printable(weir_text text) {
    static const char replacement[] = {'\xef', '\xbf', '\xbd'};
    size_t at;
    if (weir_is_utf8(text, &at)) return text;
    char *data = weir_alloc(text.size * sizeof replacement), *to = data;
    while (!weir_is_utf8(text, &at)) {
        memcpy(to, text.data, at);
        memcpy(to + at, replacement, sizeof replacement);
        to += at + sizeof replacement;
        text.data += at + 1;
        text.size -= at + 1;
    }
    memcpy(to, text.data, text.size);
    return (weir_text){data, (size_t)(to - data) + text.size};
}
