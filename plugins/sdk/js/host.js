/**
 * The host's services. Outside a plugin, for unit tests, entries of the log go to stderr, state and
 * timers are kept in memory, and the others do nothing.
 */

import { Reject } from "./errors.js";
import { parse } from "./json.js";
import * as memory from "./memory.js";

/** @typedef {"trace" | "debug" | "info" | "warn" | "error"} Level */
/** @typedef {string | (() => string)} Entry A function is called only if somebody listens. */

/** What the contract imports; a plugin's are put here by `component.js`. Not for use by hand. */
export let host = {
  log: {
    /** @type {(level: Level) => boolean} */
    enabled: () => true,
    /** @type {(level: Level, message: string) => void} */
    log: (level, message) => console.error(`${level.toUpperCase()}: ${message}`),
  },
  metrics: {
    /** @type {(name: string, value: bigint) => void} */
    add: () => {},
    /** @type {(name: string, value: number) => void} */
    set: () => {},
    /** @type {(name: string, value: number) => void} */
    observe: () => {},
  },
  config: {
    /** @type {(pointer: string) => string | undefined} */
    get: () => undefined,
    pipeline: () => "test",
    operator: () => "test",
  },
  state: memory.state,
  timers: memory.timers,
};

/** @param {Partial<typeof host>} real Not for use by hand. */
export function install(real) {
  host = { ...host, state: absent, timers: absent, ...real };
}

/**
 * State of the host's, whose refusals are rejections. Not for use by hand.
 *
 * @template {{ set: (...given: any[]) => void }} Interface
 * @param {Interface} real
 * @returns {Interface}
 */
export function refusing(real) {
  /** @param {any[]} given */
  const set = (...given) => {
    try {
      real.set(...given);
    } catch (error) {
      // What the engine throws where the contract has an error.
      const { payload } = /** @type {{ payload?: unknown }} */ (error);
      throw typeof payload === "string" ? new Reject(payload) : error;
    }
  };
  return { ...real, set };
}

/** In a plugin whose world has none. */
const absent = /** @type {any} */ (
  new Proxy(
    {},
    {
      get: () => () => {
        throw new Error("a plugin with state needs `world: stateful-operator` in plugin.yaml");
      },
    },
  )
);

/**
 * @param {Level} level
 * @param {Entry} entry
 */
function write(level, entry) {
  if (typeof entry !== "function") host.log.log(level, String(entry));
  else if (host.log.enabled(level)) host.log.log(level, String(entry()));
}

/**
 * Entries for the host's log, with the pipeline's and the operator's name on them, rate limited. An
 * entry that is costly to make can be a function that makes it.
 */
export const log = {
  /**
   * What only the author of the plugin wants to see.
   * @param {Entry} entry
   */
  trace: (entry) => write("trace", entry),
  /**
   * What helps to find out why.
   * @param {Entry} entry
   */
  debug: (entry) => write("debug", entry),
  /**
   * What whoever runs the pipeline wants to know.
   * @param {Entry} entry
   */
  info: (entry) => write("info", entry),
  /**
   * What whoever runs the pipeline should look at.
   * @param {Entry} entry
   */
  warn: (entry) => write("warn", entry),
  /**
   * What whoever runs the pipeline must look at.
   * @param {Entry} entry
   */
  error: (entry) => write("error", entry),
  /**
   * Whether entries of this level go anywhere.
   * @param {Level} level
   */
  enabled: (level) => host.log.enabled(level),
};

/**
 * Numbers for whoever watches the pipeline, on the host's `/metrics` with the pipeline's and the
 * operator's name on them. A name is 1 to 64 of `a-z 0-9 _`, beginning with a letter, and an operator
 * may use up to 64 names; what breaks these rules is dropped and counted by the host.
 */
export const metrics = {
  /**
   * Adds to the counter `weir_plugin_counter_total{name}`: a whole number, not below 0.
   * @param {string} name
   * @param {number | bigint} value
   */
  add: (name, value) => host.metrics.add(name, BigInt.asUintN(64, BigInt(value))),
  /**
   * Sets the gauge `weir_plugin_gauge{name}`.
   * @param {string} name
   * @param {number} value
   */
  set: (name, value) => host.metrics.set(name, value),
  /**
   * Records an observation in the histogram `weir_plugin_histogram{name}`.
   * @param {string} name
   * @param {number} value
   */
  observe: (name, value) => host.metrics.observe(name, value),
};

/** The operator's part of the pipeline file, for code that has no hold of what was configured. */
export const config = {
  /**
   * The value at a JSON pointer (RFC 6901; "" is the whole configuration), or `undefined`.
   *
   * @param {string} pointer
   * @returns {any}
   */
  get: (pointer) => {
    const text = host.config.get(pointer);
    return text === undefined ? undefined : parse(text);
  },
  /** The pipeline's name. */
  pipeline: () => host.config.pipeline(),
  /** The operator's name within the pipeline. */
  operator: () => host.config.operator(),
};
