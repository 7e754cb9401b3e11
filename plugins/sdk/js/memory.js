/** The host's side of state and timers outside a plugin, for unit tests: maps of the process. */

import { serve } from "./http.js";

/** @typedef {import("./timers.js").Timer} Timer */

/** @type {Map<string, { key: string, name: string, value: Uint8Array }>} */
const values = new Map();
/** @type {Map<string, Timer>} */
const set = new Map();
const encoder = new TextEncoder();

/** @type {(key: string, name: string) => string} */
const place = (key, name) => JSON.stringify([key, name]);

/** @type {(one: string, other: string) => number} */
function compare(one, other) {
  const [left, right] = [encoder.encode(one), encoder.encode(other)];
  const at = left.findIndex((byte, index) => byte !== right[index]);
  return at < 0 ? left.length - right.length : left[at] - (right[at] ?? -1);
}

/** The contract's `state`. */
export const state = {
  /** @type {(key: string, name: string) => Uint8Array | undefined} */
  get: (key, name) => values.get(place(key, name))?.value,
  /** @type {(names: [string, string][]) => (Uint8Array | undefined)[]} */
  getMany: (names) => names.map(([key, name]) => state.get(key, name)),
  /** @type {(key: string, name: string, value: Uint8Array, ttlMs: bigint | undefined) => void} */
  set: (key, name, value, ttlMs) => {
    if (ttlMs === 0n) state.delete(key, name);
    else values.set(place(key, name), { key, name, value });
  },
  /** @type {(key: string, name: string) => void} */
  delete: (key, name) => void values.delete(place(key, name)),
  /** @type {(key: string, prefix: string, after: string | undefined, limit: number) => [string, Uint8Array][]} */
  scan: (key, prefix, after, limit) => {
    const found = [...values.values()].filter(
      (entry) =>
        entry.key === key &&
        entry.name.startsWith(prefix) &&
        (after === undefined || compare(entry.name, after) > 0),
    );
    found.sort((one, other) => compare(one.name, other.name));
    return found.slice(0, limit).map(({ name, value }) => [name, value]);
  },
};

/** The contract's `timers`. */
export const timers = {
  /** @type {(clock: import("./timers.js").Clock) => bigint} */
  now: () => 0n,
  /** @type {(key: string, tag: string, clock: import("./timers.js").Clock, at: bigint) => void} */
  set: (key, tag, clock, at) => void set.set(place(key, tag), { key, tag, clock, at }),
  /** @type {(key: string, tag: string) => void} */
  cancel: (key, tag) => void set.delete(place(key, tag)),
};

/** For unit tests: what a plugin has written. */
export const testing = {
  /** All requests are answered by this function from now on: it is given one, and returns an `HttpResponse`. */
  serve,
  /** Forgets all state and all timers. */
  clearState: () => {
    values.clear();
    set.clear();
  },
  /**
   * The timers that were set, in the order of their times. They are not set any more: hand them to
   * `onTimer`.
   */
  takeTimers: () => {
    const due = [...set.values()];
    set.clear();
    return due.sort((one, other) => (one.at < other.at ? -1 : Number(one.at > other.at)));
  },
};
