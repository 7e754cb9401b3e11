/*
 * {{name}}: computes the mean reading of a sensor per minute, and the number of readings above the limit.
 *
 * `weir plugin test` runs it with input.jsonl, and `weir dev` with a NATS server.
 */
#include "sdk/weir_window.h"

static double limit;

/* The accumulator: the readings of a sensor in a window. The host stores it; a variable is only a cache. */
typedef struct sum {
    uint64_t readings;
    double celsius;
    uint64_t hot;
} sum;

/* Called once, before any message. If it returns a reason, the pipeline does not start. */
const char *weir_configure(const weir_json *config) {
    if (!weir_get_double(config, "limit", &limit)) return "`limit` must be a number";
    weir_log(WEIR_INFO, "counts readings above %g degrees", limit);
    return NULL;
}

/* Called with messages of a sensor in a window. A rejected message becomes a dead letter; other
 * messages still count. */
void weir_add(weir_text *accumulator, const weir_message *messages, size_t size, weir_result *result) {
    sum sum;
    if (!weir_read_accumulator(*accumulator, &sum, sizeof sum, result)) return;
    for (size_t at = 0; at < size; at++) {
        const weir_json *reading = weir_read_json(&messages[at], result);
        if (!reading) return; /* a dead letter that says why */
        double celsius;
        if (!weir_get_double(reading, "celsius", &celsius)) {
            weir_reject(result, "a reading needs its `celsius`");
            return;
        }
        sum.readings++;
        sum.celsius += celsius;
        sum.hot += celsius > limit;
    }
    *accumulator = weir_write_accumulator(&sum, sizeof sum);
}

/* Called to merge two parts of a window. It must give the same as adding the readings of both. */
void weir_merge(weir_text *left, weir_text right, weir_result *result) {
    sum sum, more;
    if (!weir_read_accumulator(*left, &sum, sizeof sum, result)) return;
    if (!weir_read_accumulator(right, &more, sizeof more, result)) return;
    sum.readings += more.readings;
    sum.celsius += more.celsius;
    sum.hot += more.hot;
    *left = weir_write_accumulator(&sum, sizeof sum);
}

/* Called when a window ends. Its results have the key of the window, and headers that describe the window. */
void weir_emit_pane(const weir_pane *pane, weir_result *result) {
    sum sum;
    if (!weir_read_accumulator(pane->accumulator, &sum, sizeof sum, result)) return;
    weir_writer minute = weir_write_json();
    weir_begin_object(&minute);
    weir_write_name(&minute, "mean");
    weir_write_double(&minute, sum.celsius / (double)sum.readings);
    weir_write_name(&minute, "readings");
    weir_write_uint(&minute, sum.readings);
    weir_write_name(&minute, "hot");
    weir_write_uint(&minute, sum.hot);
    weir_end_object(&minute);
    weir_set_json(weir_emit(result), &minute);
}
