/*
 * {{name}}: reports when a sensor begins to read more than the limit, and when it falls silent.
 *
 * `weir plugin test` runs it with input.jsonl, and `weir dev` with a NATS server.
 */
#include "sdk/weir_state.h"

static double limit;

/* How long a sensor may be silent. */
enum { SILENT_MINUTES = 10 };

/* Called once, before any message. If it returns a reason, the pipeline does not start. */
const char *weir_configure(const weir_json *config) {
    if (!weir_get_double(config, "limit", &limit)) return "`limit` must be a number";
    weir_log(WEIR_INFO, "alerts above %g degrees", limit);
    return NULL;
}

static void alert(weir_result *result, const char *name, double value) {
    weir_writer alert = weir_write_json();
    weir_begin_object(&alert);
    weir_write_name(&alert, name);
    weir_write_double(&alert, value);
    weir_end_object(&alert);
    weir_set_json(weir_emit(result), &alert);
}

/* Called for each message. A message without a result is dropped. */
void weir_process(const weir_message *message, weir_result *result) {
    const weir_json *reading = weir_read_json(message, result);
    if (!reading) return; /* a dead letter that says why */
    double celsius;
    if (!weir_get_double(reading, "celsius", &celsius)) {
        weir_reject(result, "a reading needs its `celsius`");
        return;
    }

    /* Whether the sensor reads more than the limit. The host stores this; a variable is only a
     * cache. If the state has no room for it, the message is rejected. */
    weir_text sensor = weir_state_key(message);
    int64_t was_hot = 0, is_hot = celsius > limit;
    if (!weir_state_get_int(sensor, "is-hot", &was_hot, result)) return;
    if (!weir_state_set_int(sensor, "is-hot", is_hot, result)) return;
    /* Setting the timer again moves it. */
    uint64_t silent = SILENT_MINUTES * 60 * 1000;
    if (!weir_timer_set_after(sensor, weir_text_of("silent"), silent, result)) return;
    if (is_hot && !was_hot) alert(result, "above_limit", celsius - limit);
}

/* Called for each timer that is due. Its results have the timer's key. */
void weir_on_timer(const weir_timer *timer, weir_result *result) {
    weir_state_delete(timer->key, weir_text_of("is-hot"));
    alert(result, "silent_minutes", SILENT_MINUTES);
}
