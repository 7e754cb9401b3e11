import { Reject } from "./errors.js";
import { host } from "./host.js";
import { parse, stringify } from "./json.js";
import { keyOf, whole } from "./timers.js";

/** @typedef {import("./timers.js").Keyed} Keyed */
/**
 * How long a value lives, in milliseconds from now; without, for ever, unless the pipeline says
 * otherwise. Setting the value again begins anew, and zero deletes it.
 *
 * @typedef {{ ttlMs?: number | bigint }} Life
 */

const decoder = new TextDecoder("utf-8", { fatal: true, ignoreBOM: true });
const encoder = new TextEncoder();

/**
 * A value for each key, kept as JSON: `const count = new State("count")`, or in TypeScript
 * `new State<number>("count")`. It is not checked to be of that type.
 *
 * It is there in `process` and `onTimer` of a plugin whose `plugin.yaml` says
 * `world: stateful-operator`, and nowhere else: a call from `configure` ends the instance. A value
 * belongs to a key and has a name below it. The key is that of the message or the timer at hand; one of
 * another partition ends the call, and its message becomes a dead letter.
 *
 * What is written is stored together with the results of the batch, and undone for a message that is
 * rejected, retried or makes the instance end.
 *
 * Outside a plugin, for unit tests, values are kept in memory and do not expire: see `testing`.
 *
 * @template [T=any]
 */
export class State {
  /** @param {string} name One that no other value of the plugin has. */
  constructor(name) {
    this.name = name;
  }

  /**
   * The value of a key, or `undefined`.
   *
   * @param {Keyed} keyed
   * @returns {T | undefined}
   * @throws {Reject} If what is kept is no JSON.
   */
  get(keyed) {
    return this.#read(state.get(keyed, this.name));
  }

  /**
   * The values of several keys, in their order: one call of the host for all of them.
   *
   * @param {Keyed[]} keyed
   * @returns {(T | undefined)[]}
   * @throws {Reject} As `get` does.
   */
  getMany(keyed) {
    const values = state.getMany(keyed.map((key) => [key, this.name]));
    return values.map((value) => this.#read(value));
  }

  /**
   * Sets the value of a key.
   *
   * @param {Keyed} keyed
   * @param {T} value
   * @param {Life} [life]
   * @throws {Reject} If the state of the partition has no room for it.
   */
  set(keyed, value, life) {
    state.set(keyed, this.name, encoder.encode(stringify(value)), life);
  }

  /**
   * Deletes the value of a key, if there is one.
   *
   * @param {Keyed} keyed
   */
  delete(keyed) {
    state.delete(keyed, this.name);
  }

  /** @param {Uint8Array | undefined} value */
  #read(value) {
    if (value === undefined) return undefined;
    try {
      return parse(decoder.decode(value));
    } catch (error) {
      const cause = error instanceof Error ? error.message : error;
      throw new Reject(`cannot read the state \`${this.name}\` as JSON: ${cause}`);
    }
  }
}

/**
 * Bytes of the host's as the plugin's: the engine makes them in a realm of its own.
 *
 * @param {Uint8Array} bytes
 */
function seen({ buffer, byteOffset, byteLength }) {
  return new Uint8Array(buffer, byteOffset, byteLength);
}

/** The same in bytes, for names that are made up while the plugin runs. */
export const state = {
  /**
   * The bytes under a key and a name, or `undefined`.
   *
   * @param {Keyed} keyed
   * @param {string} name
   * @returns {Uint8Array | undefined}
   */
  get: (keyed, name) => {
    const value = host.state.get(keyOf(keyed), name);
    return value && seen(value);
  },
  /**
   * The bytes under several keys and names, in their order.
   *
   * @param {[Keyed, string][]} names
   * @returns {(Uint8Array | undefined)[]}
   */
  getMany: (names) => {
    const values = host.state.getMany(names.map(([keyed, name]) => [keyOf(keyed), name]));
    return values.map((value) => value && seen(value));
  },
  /**
   * Sets the bytes under a key and a name.
   *
   * @param {Keyed} keyed
   * @param {string} name
   * @param {Uint8Array} value
   * @param {Life} [life]
   * @throws {Reject} If the state of the partition has no room for it.
   */
  set: (keyed, name, value, { ttlMs } = {}) => {
    host.state.set(keyOf(keyed), name, value, ttlMs === undefined ? undefined : whole(ttlMs));
  },
  /**
   * Deletes what is under a key and a name, if anything.
   *
   * @param {Keyed} keyed
   * @param {string} name
   */
  delete: (keyed, name) => host.state.delete(keyOf(keyed), name),
  /**
   * Up to `limit` names of a key that begin with `prefix`, with their bytes, in the order of the names;
   * those behind `after` where it is given. Fewer may come where they are large: there are no more only
   * when none comes.
   *
   * @param {Keyed} keyed
   * @param {string} [prefix]
   * @param {{ after?: string, limit?: number }} [bounds]
   * @returns {[string, Uint8Array][]}
   */
  scan: (keyed, prefix = "", { after, limit = 1000 } = {}) => {
    const found = host.state.scan(keyOf(keyed), prefix, after, limit);
    return Array.from(found, ([name, value]) => [name, seen(value)]);
  },
};
