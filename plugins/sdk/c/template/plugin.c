/*
 * {{name}}: reports when a sensor reads more than the limit.
 *
 * `weir plugin test` runs it with input.jsonl, and `weir dev` with a NATS server.
 */
#include "sdk/weir.h"

static double limit;

/* Called once, before any message. If it returns a reason, the pipeline does not start. */
const char *weir_configure(const weir_json *config) {
    if (!weir_get_double(config, "limit", &limit)) return "`limit` must be a number";
    if (limit < -273.15) return "`limit` is below absolute zero";
    weir_log(WEIR_INFO, "alerts above %g degrees", limit);
    return NULL;
}

/* Called for each message. A message without a result is dropped. */
void weir_process(const weir_message *message, weir_result *result) {
    const weir_json *reading = weir_read_json(message, result);
    if (!reading) return; /* a dead letter that says why */

    weir_text sensor;
    double celsius;
    if (!weir_get_text(reading, "sensor", &sensor) || !weir_get_double(reading, "celsius", &celsius)) {
        weir_reject(result, "a reading needs a `sensor` and its `celsius`");
        return;
    }
    if (celsius <= limit) return;

    weir_writer alert = weir_write_json();
    weir_begin_object(&alert);
    weir_write_name(&alert, "sensor");
    weir_write_text(&alert, sensor);
    weir_write_name(&alert, "above_limit");
    weir_write_double(&alert, celsius - limit);
    weir_end_object(&alert);
    weir_set_json(weir_emit(result), &alert);
}
