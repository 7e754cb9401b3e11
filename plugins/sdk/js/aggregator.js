/**
 * The exports of the contract for windows, over a plugin's module. Not for use by hand: see `component.js`.
 */

import { configurable, installHost, reason, received } from "./component.js";
import { Reject } from "./errors.js";
import { parse, stringify } from "./json.js";
import { lower } from "./output.js";

const FUNCTIONS = ["empty", "add", "merge", "emit"];

const decoder = new TextDecoder("utf-8", { fatal: true, ignoreBOM: true });
const encoder = new TextEncoder();

/**
 * @param {Record<string, Function>} plugin The author's module.
 * @param {() => string} lineMap Where each line of the bundle is from.
 */
export function aggregator(plugin, lineMap) {
  installHost();
  const missing = FUNCTIONS.find((name) => typeof plugin[name] !== "function");
  if (missing) throw new TypeError(`the plugin exports no function \`${missing}\``);
  const { configure, empty, add, merge, emit } = plugin;

  /** @param {Uint8Array} accumulator Of no message yet, it is empty. */
  const read = (accumulator) => (accumulator.byteLength === 0 ? empty() : parsed(accumulator));

  /**
   * One answer for each element of a batch, in order.
   *
   * @param {(given: any) => unknown} answer
   */
  const each = (answer) => (/** @type {any[]} */ batch) =>
    Array.from(batch, (given) => {
      try {
        return { tag: "ok", val: answer(given) };
      } catch (error) {
        return { tag: "err", val: reason(error, lineMap) };
      }
    });

  return {
    configurable: configurable(configure, lineMap),
    aggregation: {
      add: each(({ accumulator, messages }) => {
        let added = read(accumulator);
        for (const message of messages) added = add(added, received(message));
        return written(added, "add");
      }),
      merge: each(({ left, right }) => written(merge(read(left), read(right)), "merge")),
      emit: each(({ key, window: { start, end }, timing, index, accumulator }) =>
        lower(emit({ key, start, end, timing, index }, read(accumulator)), "emit"),
      ),
    },
  };
}

/**
 * @param {Uint8Array} accumulator The engine makes it in a realm of its own.
 * @returns {unknown}
 */
function parsed({ buffer, byteOffset, byteLength }) {
  try {
    return parse(decoder.decode(new Uint8Array(buffer, byteOffset, byteLength)));
  } catch (error) {
    const cause = error instanceof Error ? error.message : error;
    throw new Reject(`cannot read the accumulator as JSON: ${cause}`);
  }
}

/**
 * @param {any} accumulator
 * @param {string} maker The function that returned it.
 */
function written(accumulator, maker) {
  if (accumulator === undefined || typeof accumulator?.then === "function") {
    const returned = accumulator ? "a promise" : "nothing";
    throw new TypeError(`\`${maker}\` returned ${returned} where an accumulator belongs`);
  }
  return encoder.encode(stringify(accumulator));
}
