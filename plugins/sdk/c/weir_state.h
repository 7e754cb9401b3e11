/*
 * weir_state.h - values that a plugin keeps for the keys of messages, and calls that the host makes
 * later. For a plugin whose `plugin.yaml` says `world: stateful-operator`.
 *
 *     #include "sdk/weir_state.h"
 *
 *     void weir_process(const weir_message *message, weir_result *result) {
 *         weir_text key = weir_state_key(message);
 *         int64_t count = 0;
 *         if (!weir_state_get_int(key, "count", &count, result)) return;
 *         if (!weir_state_set_int(key, "count", count + 1, result)) return;
 *     }
 *
 * State is there in `weir_process` and `weir_on_timer`, and nowhere else: a call from `weir_configure`
 * ends the instance. A value belongs to a key and has a name below it. The key is that of the message
 * or the timer at hand; one of another partition ends the call, and its message becomes a dead letter.
 * Keys, names and tags are UTF-8.
 *
 * What is written is stored together with the results of the batch, and undone for a message that is
 * rejected, retried or makes the instance end.
 *
 * A function with a `result` is false where the message cannot go on, and has rejected it with the
 * reason: return then.
 */
#ifndef WEIR_STATE_H
#define WEIR_STATE_H

#include "weir.h"

#ifdef __cplusplus
extern "C" {
#endif

/* What state and timers of a message belong to: its key, and "" if it has none. */
weir_text weir_state_key(const weir_message *message);

/* ---- Values as JSON ------------------------------------------------------------------------- */

/* An integer; `value` is as it was where there is none. */
bool weir_state_get_int(weir_text key, const char *name, int64_t *value, weir_result *result);
bool weir_state_set_int(weir_text key, const char *name, int64_t value, weir_result *result);

/* Any value; NULL where there is none. */
bool weir_state_get_json(weir_text key, const char *name, const weir_json **value,
                         weir_result *result);
bool weir_state_set_json(weir_text key, const char *name, const weir_writer *json,
                         weir_result *result);

/* The bytes that were found under a name, as JSON; NULL, and the message rejected, if they are not. */
const weir_json *weir_state_parse(const char *name, weir_text value, weir_result *result);

/* ---- Values as bytes ------------------------------------------------------------------------ */

/* The bytes under a key and a name; false where there are none. */
bool weir_state_get(weir_text key, weir_text name, weir_text *value);

/* Where a value is. */
typedef struct weir_place {
    weir_text key;
    weir_text name;
} weir_place;

/* The bytes in several places, in their order, as many as `size`: one call of the host for all. */
const weir_optional_text *weir_state_get_many(const weir_place *places, size_t size);

/* Sets the bytes under a key and a name. It fails where the state of the partition has no room. */
bool weir_state_set(weir_text key, weir_text name, weir_text value, weir_result *result);

/* The same for so many milliseconds from now. Setting it again begins anew; zero deletes it. */
bool weir_state_set_for(weir_text key, weir_text name, weir_text value, uint64_t milliseconds,
                        weir_result *result);

/* Both at once, without a result to reject: where it is false, `reason` is why there is no room.
 * `milliseconds` may be NULL. */
bool weir_state_try_set(weir_text key, weir_text name, weir_text value, const uint64_t *milliseconds,
                        weir_text *reason);

/* Deletes what is under a key and a name, if anything. */
void weir_state_delete(weir_text key, weir_text name);

/* A name with its value. */
typedef struct weir_entry {
    weir_text name;
    weir_text value;
} weir_entry;

typedef struct weir_entries {
    const weir_entry *items;
    size_t size;
} weir_entries;

/* Up to `limit` names of a key that begin with `prefix`, with their bytes, in the order of the names;
 * those behind `after`, if not NULL. Fewer may come where they are large: there are no more only when
 * none comes. */
weir_entries weir_state_scan(weir_text key, weir_text prefix, const weir_text *after, uint32_t limit);

/* ---- Timers --------------------------------------------------------------------------------- */

/* Which clock a timer follows. */
typedef enum weir_clock {
    /* The watermark: messages with earlier event times are not expected any more. */
    WEIR_EVENT_TIME,
    /* The clock of the job. It follows the wall clock and never steps. */
    WEIR_PROCESSING_TIME,
} weir_clock;

/* One timer that is due. It is not set any more. */
typedef struct weir_timer {
    weir_text key;
    weir_text tag;
    /* A `weir_clock`. */
    uint8_t clock;
    /* When it was set to fire, in nanoseconds since the Unix epoch. */
    uint64_t at;
} weir_timer;

/* Called for each timer that is due, exactly once. An output has the timer's key. Leave it out if there
 * are no timers. */
void weir_on_timer(const weir_timer *timer, weir_result *result);

/* The time of a clock, in nanoseconds since the Unix epoch. The watermark is 0 until there is one. */
uint64_t weir_timer_now(weir_clock clock);

/* Fires once a clock has reached `at`, in nanoseconds since the Unix epoch. A timer is known by its key
 * and tag; setting it again moves it. It is not called if the values of its key are gone when it is
 * due. It fails where the state of the partition has no room. */
bool weir_timer_set(weir_text key, weir_text tag, weir_clock clock, uint64_t at, weir_result *result);

/* The same after so many milliseconds, by the clock of the job. */
bool weir_timer_set_after(weir_text key, weir_text tag, uint64_t milliseconds, weir_result *result);

/* As `weir_timer_set`, without a result to reject: where it is false, `reason` is why. */
bool weir_timer_try_set(weir_text key, weir_text tag, weir_clock clock, uint64_t at, weir_text *reason);

/* The time of the clock of the job in so many milliseconds. */
uint64_t weir_timer_in(uint64_t milliseconds);

/* Cancels a timer, if it is set. */
void weir_timer_cancel(weir_text key, weir_text tag);

#ifdef __cplusplus
}
#endif
#endif
