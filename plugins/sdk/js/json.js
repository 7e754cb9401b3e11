/**
 * JSON in which integers keep all their digits.
 *
 * An engine that lacks JSON's source text access, as Node.js before 22, rounds them; the engine in a
 * plugin has it. Not for use by hand: see `Message.json` and `Output.json`.
 */

/** Fewer digits fit into a number in any case; and in quotes, ids of many digits are no numbers. */
const LONG = /(?:^|[\s:,[-])\d{16}/;
const INTEGER = /^-?\d+$/;

/**
 * @param {string} text
 * @returns {any} Integers that a number cannot hold exactly are a `BigInt`.
 */
export function parse(text) {
  // A reviver is slow, and hardly any text needs it.
  return LONG.test(text) ? JSON.parse(text, revive) : JSON.parse(text);
}

/**
 * @param {string} _key
 * @param {any} value
 * @param {{ source?: string }} [context]
 */
function revive(_key, value, context) {
  const source = context?.source;
  const isRounded = typeof value === "number" && !Number.isSafeInteger(value);
  return isRounded && source !== undefined && INTEGER.test(source) ? BigInt(source) : value;
}

/**
 * @param {unknown} value A `BigInt` in it is written as an integer.
 * @returns {string}
 */
export function stringify(value) {
  let text;
  try {
    text = JSON.stringify(value);
  } catch {
    // A BigInt, most likely; what else it may be is thrown again.
    text = JSON.stringify(value, raw);
  }
  if (text === undefined) throw new TypeError(`${typeof value} is no JSON value`);
  return text;
}

/**
 * @param {string} _key
 * @param {unknown} value
 */
function raw(_key, value) {
  if (typeof value !== "bigint") return value;
  // Newer than the types of the language's library.
  const { rawJSON } = /** @type {any} */ (JSON);
  return rawJSON ? rawJSON(String(value)) : Number(value);
}
