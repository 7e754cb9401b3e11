import { host } from "./host.js";

/**
 * Which clock a timer follows. `event-time` is the watermark: messages with earlier event times are
 * not expected any more. `processing-time` is the clock of the job; it follows the wall clock and never
 * steps.
 *
 * @typedef {"event-time" | "processing-time"} Clock
 */

/**
 * A timer that is due: it is not set any more. `at` is when it was set to fire, in nanoseconds since
 * the Unix epoch.
 *
 * @typedef {{ key: string, tag: string, clock: Clock, at: bigint }} Timer
 */

/**
 * What state and timers belong to: the message or the timer at hand, or its key.
 *
 * @typedef {string | { key: string | null }} Keyed
 */

/** The greatest integer of the contract. */
const MOST = (1n << 64n) - 1n;

/**
 * @param {Keyed} keyed
 * @returns {string}
 */
export function keyOf(keyed) {
  return typeof keyed === "string" ? keyed : (keyed.key ?? "");
}

/**
 * A time as the contract has it: rounded up, and within its bounds.
 *
 * @param {number | bigint} time
 */
export function whole(time) {
  const rounded = typeof time === "bigint" ? time : BigInt(Math.ceil(time));
  if (rounded < 0n) return 0n;
  return rounded > MOST ? MOST : rounded;
}

/**
 * Calls that the host makes later: of `onTimer`, exactly once for each timer.
 *
 * A timer is known by its key and tag; setting it again moves it. Its key is that of the message or the
 * timer at hand, as for {@link State}, and it is not called if the values of the key are gone when it
 * is due.
 *
 * Outside a plugin, for unit tests, timers are kept in memory, and the clocks stand at 0: see
 * `testing`.
 */
export const timers = {
  /**
   * The time of a clock, in nanoseconds since the Unix epoch. The watermark is 0 until there is one.
   *
   * @param {Clock} clock
   */
  now: (clock) => host.timers.now(clock),
  /**
   * Fires once a clock has reached `at`, in nanoseconds since the Unix epoch.
   *
   * @param {Keyed} keyed
   * @param {string} tag
   * @param {Clock} clock
   * @param {bigint} at
   * @throws {Reject} If the state of the partition has no room for it.
   */
  set: (keyed, tag, clock, at) => host.timers.set(keyOf(keyed), tag, clock, whole(at)),
  /**
   * Fires after so many milliseconds, by the clock of the job.
   *
   * @param {Keyed} keyed
   * @param {string} tag
   * @param {number} delayMs
   * @throws {Reject} As `set` does.
   */
  setAfter: (keyed, tag, delayMs) => {
    const at = timers.now("processing-time") + whole(delayMs * 1e6);
    timers.set(keyed, tag, "processing-time", at);
  },
  /**
   * Cancels a timer, if it is set.
   *
   * @param {Keyed} keyed
   * @param {string} tag
   */
  cancel: (keyed, tag) => host.timers.cancel(keyOf(keyed), tag),
};
