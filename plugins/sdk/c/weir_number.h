/*
 * weir_number.h - what reading and writing numbers have in common. Not for plugins. Part of the SDK.
 */
#ifndef WEIR_NUMBER_H
#define WEIR_NUMBER_H

#include <stdint.h>

/* A double holds every integer up to this one, 2^53. */
#define WEIR_EXACT (UINT64_C(1) << 53)

/* The powers of ten that a double holds exactly, 10^0 to 10^22. */
enum { WEIR_TENS = 23 };
extern const double weir_tens[WEIR_TENS];

#endif
