/*
 * weir_memory.c - an arena: allocation is an addition, and a whole call is freed at once, so that
 * nothing can leak. Part of the SDK.
 *
 * Memory comes in chunks. After a call that needed several, they become one that is as large as all
 * of them, so that in the end a call allocates nothing at all; a chunk beyond KEPT is given back.
 */
#include "weir_memory.h"

#include <stdint.h>
#include <stdlib.h>

enum {
    ALIGNMENT = 16,
    /* The first chunk: a batch of small messages. */
    LEAST = 64 * 1024,
    /* The most that is kept from one call to the next. */
    KEPT = 8 * 1024 * 1024,
};

typedef struct chunk {
    struct chunk *next;
    size_t size;
    size_t used;
    char data[] __attribute__((aligned(ALIGNMENT)));
} chunk;

/* The newest first; only the newest is allocated from. */
static chunk *chunks;
/* Sum of their sizes. */
static size_t total;
/* Everything belongs to the instance until `configure` is over: what runs before it, runs once. */
static bool kept = true;

static void *checked(void *data) {
    /* Out of memory: the host names the limit, so there is nothing to add. */
    if (!data) __builtin_trap();
    return data;
}

static void add_chunk(size_t least) {
    size_t size = least > LEAST ? least : LEAST;
    chunk *made = checked(malloc(sizeof *made + size));
    made->next = chunks;
    made->size = size;
    made->used = 0;
    chunks = made;
    total += size;
}

void *weir_alloc(size_t size) {
    if (size > SIZE_MAX - 2 * ALIGNMENT) __builtin_trap();
    size = (size + ALIGNMENT - 1) / ALIGNMENT * ALIGNMENT;
    if (kept) return checked(malloc(size ? size : ALIGNMENT));
    if (!chunks || chunks->size - chunks->used < size) add_chunk(size);
    void *data = chunks->data + chunks->used;
    chunks->used += size;
    return data;
}

void *weir_grow(void *data, size_t old_size, size_t new_size) {
    void *grown = weir_alloc(new_size);
    size_t copied = old_size < new_size ? old_size : new_size;
    if (copied) memcpy(grown, data, copied);
    return grown;
}

weir_text weir_for_call(weir_text text) {
    for (const chunk *in = chunks; in && !kept; in = in->next) {
        if (text.data >= in->data && text.data + text.size <= in->data + in->used) return text;
    }
    char *copy = weir_alloc(text.size);
    if (text.size) memcpy(copy, text.data, text.size);
    return (weir_text){copy, text.size};
}

void weir_keep(bool keep) { kept = keep; }

void weir_forget(void) {
    if (!chunks) return;
    if (!chunks->next && chunks->size <= KEPT) {
        chunks->used = 0;
        return;
    }
    size_t wanted = total < KEPT ? total : KEPT;
    while (chunks) {
        chunk *next = chunks->next;
        free(chunks);
        chunks = next;
    }
    total = 0;
    add_chunk(wanted);
}
