/*
 * weir_memory.h - the memory of a call, for the SDK's own files.
 */
#ifndef WEIR_MEMORY_H
#define WEIR_MEMORY_H

#include "weir_text.h"

/* Whether what is allocated from now on is for the instance's life. It is before the first call. */
void weir_keep(bool keep);

/* Forgets everything that was allocated for the call. */
void weir_forget(void);

/* `new_size` bytes that begin with the `old_size` bytes at `data`, which is given up. */
void *weir_grow(void *data, size_t old_size, size_t new_size);

#endif
