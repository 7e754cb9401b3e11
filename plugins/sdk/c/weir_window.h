/*
 * weir_window.h - sums, counts and sketches over windows of time. For a plugin whose `plugin.yaml` says
 * `world: aggregator`.
 *
 *     #include "sdk/weir_window.h"
 *
 *     void weir_add(weir_text *accumulator, const weir_message *messages, size_t size,
 *                   weir_result *result) {
 *         double total, one;
 *         if (!weir_read_accumulator(*accumulator, &total, sizeof total, result)) return;
 *         for (size_t at = 0; at < size; at++) {
 *             const weir_json *order = weir_read_json(&messages[at], result);
 *             if (!order) return;
 *             if (!weir_get_double(order, "total", &one)) {
 *                 weir_reject(result, "an order needs a `total`");
 *                 return;
 *             }
 *             total += one;
 *         }
 *         *accumulator = weir_write_accumulator(&total, sizeof total);
 *     }
 *
 * The host assigns messages to windows, keeps an accumulator for each key and window, and says when one is
 * emitted: the operator's `window:` in the pipeline file decides that. Results must not depend on how
 * messages were grouped: merging two accumulators is the same as adding the messages of both to one.
 *
 * An accumulator is bytes in an encoding of the plugin's own, and empty where there is no message: a
 * struct, as here, or JSON (weir_parse_json, weir_writer). It is stored, and a later version of the plugin
 * must be able to read it; JSON is easier to extend.
 *
 * `weir_reject` makes a dead letter of the message or the window. There is no retry here: it is a rejection.
 */
#ifndef WEIR_WINDOW_H
#define WEIR_WINDOW_H

#include "weir.h"

#ifdef __cplusplus
extern "C" {
#endif

/* Whether a result of a window comes before its end, at it or after it. */
typedef enum weir_timing {
    WEIR_EARLY,
    WEIR_ON_TIME,
    WEIR_LATE,
} weir_timing;

/* As the header `Weir-Pane` has it: `early`, `on-time` or `late`. */
const char *weir_timing_name(uint8_t timing);

/* One result of a window. */
typedef struct weir_pane {
    /* That of the messages, and "" if they have none. */
    weir_text key;
    /* Those of the window, in nanoseconds since the Unix epoch; the end is not part of it. */
    int64_t start;
    int64_t end;
    /* A `weir_timing`. */
    uint8_t timing;
    /* How many panes of the window came before. */
    uint32_t index;
    /* What is known of its messages; empty if there are none. */
    weir_text accumulator;
} weir_pane;

/* ---- What the plugin writes ---------------------------------------------------------------- */

/* Takes messages, at least one, into the accumulator of their key and window, in their order. If one of
 * several is rejected the host calls again with each alone, and the others count. */
void weir_add(weir_text *accumulator, const weir_message *messages, size_t size, weir_result *result);

/* Joins two accumulators of a key: `right`, which is of the later part of the window, into `left`. */
void weir_merge(weir_text *left, weir_text right, weir_result *result);

/* Emits a window. What an output leaves out is empty, but for the key, which is the pane's; the host adds
 * headers that name the window. */
void weir_emit_pane(const weir_pane *pane, weir_result *result);

/* ---- Accumulators that are a struct --------------------------------------------------------- */

/* Copies an accumulator of `size` bytes to `value`, and sets that to zeroes if the accumulator is empty.
 * False, and the message or window rejected, where it has another size. */
bool weir_read_accumulator(weir_text accumulator, void *value, size_t size, weir_result *result);

/* The `size` bytes at `value` as an accumulator. */
weir_text weir_write_accumulator(const void *value, size_t size);

#ifdef __cplusplus
}
#endif
#endif
