/**
 * Write weir plugins in JavaScript and TypeScript: a module that exports one function per message,
 * `process`, and where it takes a configuration, `configure`.
 *
 * ```js
 * import { Output, Reject } from "./sdk/weir.js";
 *
 * let rate;
 *
 * export function configure(config) {
 *   if (!(config?.rate >= 0 && config.rate <= 1)) throw new Reject("`rate` must be between 0 and 1");
 *   rate = config.rate;
 * }
 *
 * export function process(message) {
 *   const order = message.json(); // not JSON: a dead letter that says why
 *   if (order.total === 0) return null; // dropped, on purpose
 *   return Output.json(order.total * rate);
 * }
 * ```
 *
 * What `process` returns or throws is what becomes of the message:
 *
 * | returned or thrown | effect |
 * |---|---|
 * | `return Output.pass()` | published as it came; no bytes are moved |
 * | `return Output.json(value)` | one new message; what it does not set is taken over |
 * | `return [one, two, three]` | many messages |
 * | `return null` or `return []` | dropped, on purpose; a forgotten `return` is an error instead |
 * | `throw new Reject("why")` | dead letter, with the reason |
 * | `throw new Retry("why")` | delivered again later, with the pipeline's backoff |
 * | `throw new Retry("why", { afterMs: 1500 })` | delivered again, not before this long |
 * | any other exception | dead letter for this message alone, with the stack |
 *
 * A plugin that counts, joins or removes duplicates keeps {@link State} and sets {@link timers}; it
 * exports a function `onTimer` besides, which is called for each timer that is due.
 *
 * One that aggregates windows of time exports no `process` but `empty`, `add`, `merge` and `emit`: see
 * {@link Aggregator}.
 *
 * `process` may be `async`. The same message may come more than once (see {@link Message.attempt}),
 * and the instance may be replaced between any two calls: what the module holds is a cache, not
 * state. The module itself runs once, when the plugin is built, and every instance begins with what
 * it left: what differs from instance to instance, such as the time, belongs into `configure`.
 *
 * Integers past 2^53 are a `BigInt`, in a message's fields and in JSON, both ways.
 *
 * @module
 */

export { Reject, Retry } from "./errors.js";
export { config, log, metrics } from "./host.js";
export { http, HttpError, HttpResponse } from "./http.js";
export { testing } from "./memory.js";
export { Message } from "./message.js";
export { Output } from "./output.js";
export { state, State } from "./state.js";
export { timers } from "./timers.js";

/** @typedef {import("./timers.js").Clock} Clock */
/** @typedef {import("./timers.js").Keyed} Keyed */
/** @typedef {import("./timers.js").Timer} Timer */

/**
 * One line of headers.
 *
 * @typedef {{ name: string, value: string }} Header
 */

/**
 * The `process` of a plugin, for TypeScript: `export const process: Process = (message) => ...`.
 *
 * @typedef {(message: import("./message.js").Message) => Result | Promise<Result>} Process
 */

/**
 * What `process` returns: none, one or many outputs.
 *
 * @typedef {import("./output.js").Output | import("./output.js").Output[] | null} Result
 */

/**
 * One result of a window. `key` is that of the messages, and "" if they have none. `start` and `end` are those of the
 * window in nanoseconds since the Unix epoch, the end excluded. `timing` is whether it comes before the end of the
 * window, at it or after it; `index` is how many panes of the window came before.
 *
 * @typedef {{ key: string, start: bigint, end: bigint, timing: Timing, index: number }} Pane
 */

/** @typedef {"early" | "on-time" | "late"} Timing As the header `Weir-Pane` has it. */

/**
 * What the module of an aggregator exports; its `plugin.yaml` has `world: aggregator`. The host keeps an accumulator
 * for each key and window, as JSON, and says when one is emitted. A later version of the plugin must be able to read
 * it. Results must not depend on how messages were grouped: merging two accumulators is the same as adding the messages
 * of both to one.
 *
 * `empty` makes the accumulator of no messages. `add` returns the accumulator with one more message in it; an exception
 * makes the message a dead letter, and the others count. `merge` joins two accumulators of a key: `left` is of the
 * earlier part of the window. `emit` returns the results of a window: what an output leaves out is empty, but for the
 * key, which is the pane's; an exception makes a dead letter of the window. None of them may be `async`, and there is no
 * retry.
 *
 * @template Accumulator
 * @typedef {object} Aggregator
 * @property {() => Accumulator} empty
 * @property {(accumulator: Accumulator, message: import("./message.js").Message) => Accumulator} add
 * @property {(left: Accumulator, right: Accumulator) => Accumulator} merge
 * @property {(pane: Pane, accumulator: Accumulator) => Result} emit
 */
