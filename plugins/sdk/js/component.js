/**
 * The exports of the contract, over a plugin's module. Not for use by hand: `build.mjs` makes the
 * component's entry of this and the plugin.
 */

import * as hostConfig from "weir:plugin/config@0.1.0";
import * as hostLog from "weir:plugin/log@0.1.0";
import * as hostMetrics from "weir:plugin/metrics@0.1.0";
import { Reject, Retry } from "./errors.js";
import { install, refusing } from "./host.js";
import { parse } from "./json.js";
import { Message } from "./message.js";
import { lower } from "./output.js";

/**
 * A message of the host's. The engine makes it in a realm of its own, so that its bytes are no
 * `Uint8Array` here; they are seen through one, and not copied.
 *
 * @param {any} fields
 */
export function received(fields) {
  const message = new Message(fields);
  message.payload = new Uint8Array(fields.payload.buffer);
  return message;
}

/**
 * @param {{ configure?: Function, process?: Function, onTimer?: Function }} plugin The author's module.
 * @param {() => string} lineMap Where each line of the bundle is from: see `places`.
 * @param {{ state?: any, timers?: any }} stateful What a plugin with state imports besides.
 */
export function component(plugin, lineMap, { state, timers } = {}) {
  installHost(state && { state: refusing(state), timers: refusing(timers) });
  const { configure, process, onTimer = () => null } = plugin;
  if (typeof process !== "function") throw new TypeError("the plugin exports no function `process`");

  /** @param {unknown} error */
  const condemn = (error) => {
    if (error instanceof Retry) {
      const { afterMs } = error;
      const after = afterMs === undefined ? undefined : BigInt(Math.max(0, Math.ceil(afterMs)));
      return { tag: "retry", val: { afterMs: after, reason: String(error.message) } };
    }
    return { tag: "reject", val: reason(error, lineMap) };
  };

  /**
   * @param {Function} call
   * @param {any} given
   */
  const attempt = (call, given) => {
    try {
      const result = call(given);
      if (typeof result?.then === "function") return settle(result);
      return { tag: "emit", val: lower(result) };
    } catch (error) {
      return condemn(error);
    }
  };

  /** @param {Promise<unknown>} promise */
  const settle = async (promise) => {
    try {
      return { tag: "emit", val: lower(await promise) };
    } catch (error) {
      return condemn(error);
    }
  };

  return {
    configurable: configurable(configure, lineMap),
    handler: {
      /** @param {any[]} batch */
      process: (batch) => each(batch, (message) => attempt(process, received(message))),
    },
    timerHandler: {
      /** @param {any[]} batch */
      onTimer: (batch) => each(batch, (timer) => attempt(onTimer, timer)),
    },
  };

  /**
   * @param {any[]} batch
   * @param {(given: any) => any} become
   */
  function each(batch, become) {
    const outcomes = new Array(batch.length);
    for (let index = 0; index < batch.length; index += 1) {
      const outcome = become(batch[index]);
      if (outcome instanceof Promise) return rest(batch, become, outcomes, index, outcome);
      outcomes[index] = outcome;
    }
    return outcomes;
  }

  /**
   * The rest of a batch, one message after another, from the first that has to be waited for.
   *
   * @param {any[]} batch
   * @param {(given: any) => any} become
   * @param {any[]} outcomes
   * @param {number} index
   * @param {Promise<unknown>} first
   */
  async function rest(batch, become, outcomes, index, first) {
    outcomes[index] = await first;
    for (let next = index + 1; next < batch.length; next += 1) {
      outcomes[next] = await become(batch[next]);
    }
    return outcomes;
  }
}

/** @param {{ state: any, timers: any }} [stateful] */
export function installHost(stateful) {
  install({ config: hostConfig, log: hostLog, metrics: hostMetrics, ...stateful });
}

/**
 * The contract's `configurable`.
 *
 * @param {Function | undefined} configure
 * @param {() => string} lineMap
 */
export function configurable(configure, lineMap) {
  /** @param {unknown} error What the engine returns as the error of a call. */
  const refuse = (error) => {
    throw Object.assign(new Error(), { payload: reason(error, lineMap) });
  };
  return {
    /** @param {string} text */
    configure(text) {
      try {
        const done = configure?.(parse(text));
        return typeof done?.then === "function" ? done.then(() => {}, refuse) : undefined;
      } catch (error) {
        return refuse(error);
      }
    },
  };
}

/**
 * Why it failed: the words in the first line and, of what nobody meant to throw, the stack below.
 *
 * @param {unknown} error
 * @param {() => string} lineMap
 */
export function reason(error, lineMap) {
  if (error instanceof Reject || error instanceof Retry) return String(error.message);
  if (!(error instanceof Error)) return `threw ${typeof error}: ${safely(() => String(error))}`;
  const words = safely(() => `${error}`);
  return [words, ...locate(String(error.stack ?? ""), lineMap)].join("\n");
}

/** @param {() => string} make */
function safely(make) {
  try {
    return make();
  } catch {
    return "something that cannot be shown";
  }
}

/**
 * The calls in a stack of the engine's, `name@file:line:column`, the latest first, with the lines of
 * the author's files. The SDK's own are left out.
 *
 * @param {string} stack
 * @param {() => string} lineMap
 */
function locate(stack, lineMap) {
  /** @type {string[]} */
  const calls = [];
  for (const frame of stack.split("\n")) {
    const parts = /^(.*)@.*?:(\d+):\d+$/.exec(frame);
    const place = parts && places(lineMap)[Number(parts[2]) - 1];
    if (place) calls.push(`${parts[1] || "(anonymous)"} at ${place}`);
  }
  return calls;
}

/** @type {string[] | undefined} */
let known;

/**
 * The place of each line of the bundle, as `plugin.js:12`, empty where it is none of the author's.
 * Read when the first exception asks for it.
 *
 * @param {() => string} lineMap For each line the file, empty where it is that of the line before,
 *   and the line in it: `plugin.js:12 :13 :15`.
 */
function places(lineMap) {
  let file = "";
  known ??= lineMap()
    .split(" ")
    .map((place) => {
      const colon = place.lastIndexOf(":");
      file = place.slice(0, colon) || file;
      return file.startsWith("sdk/") || place.endsWith(":") ? "" : file + place.slice(colon);
    });
  return known;
}
