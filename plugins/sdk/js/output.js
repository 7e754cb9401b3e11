import { Reject } from "./errors.js";
import { stringify } from "./json.js";

/** @typedef {import("./weir.js").Header} Header */

const encoder = new TextEncoder();

/**
 * One message that the operator emits. A field that is `undefined` is taken over from the input
 * message by the host: it is not copied, neither into the plugin nor out of it.
 */
export class Output {
  /**
   * @param {object} [fields]
   * @param {string} [fields.subject]
   * @param {Uint8Array | string} [fields.payload]
   * @param {Header[]} [fields.headers]
   * @param {string} [fields.key]
   */
  constructor({ subject, payload, headers, key } = {}) {
    /**
     * Where it goes, before the pipeline's sink template is applied: tokens separated by dots,
     * without wildcards or white space.
     */
    this.subject = subject;
    /** Bytes, or text that is written as UTF-8. */
    this.payload = payload;
    /** Replaces all headers of the input. Names that begin with `Nats-` belong to the host. */
    this.headers = headers;
    this.key = key;
  }

  /** The message as it came. No bytes are moved. */
  static pass() {
    return new Output();
  }

  /**
   * A new payload: `value` as JSON text. A `BigInt` in it is written as an integer.
   *
   * @param {unknown} value
   * @throws {Reject} Where it cannot be written as JSON.
   */
  static json(value) {
    try {
      return new Output({ payload: stringify(value) });
    } catch (error) {
      throw new Reject(`cannot write the output as JSON: ${error instanceof Error ? error.message : error}`);
    }
  }

  /**
   * A new payload: this text.
   *
   * @param {string} text
   */
  static text(text) {
    return new Output({ payload: text });
  }

  /**
   * A new payload: these bytes.
   *
   * @param {Uint8Array} bytes
   */
  static bytes(bytes) {
    return new Output({ payload: bytes });
  }

  /**
   * Sends it to this subject.
   *
   * @param {string} subject
   */
  withSubject(subject) {
    this.subject = subject;
    return this;
  }

  /**
   * Gives it another key.
   *
   * @param {string} key
   */
  withKey(key) {
    this.key = key;
    return this;
  }

  /**
   * Adds a header. An output with headers of its own takes over none of the input's, but see
   * {@link Output.withHeadersOf}.
   *
   * @param {string} name
   * @param {string} value
   */
  withHeader(name, value) {
    this.headers = [...(this.headers ?? []), { name, value }];
    return this;
  }

  /**
   * Adds the headers of the input, those that the operator's `headers:` asks for.
   *
   * @param {import("./message.js").Message} message
   */
  withHeadersOf(message) {
    this.headers = [...(this.headers ?? []), ...message.headers];
    return this;
  }
}

/**
 * What the author returned, as the contract wants it. What is of a wrong type would end the instance
 * at the boundary, so it is found here, where it ends one message.
 *
 * @param {unknown} result
 * @param {string} [maker] The function that returned it.
 */
export function lower(result, maker = "process") {
  if (result === null) return [];
  if (!Array.isArray(result)) return [lowerOne(result, maker)];
  return result.map((output) => lowerOne(output, maker));
}

/**
 * @param {any} output
 * @param {string} maker
 */
function lowerOne(output, maker) {
  if (output === undefined) {
    throw new TypeError(`\`${maker}\` returned nothing: to emit nothing, return null`);
  }
  if (!(output instanceof Output)) {
    throw new TypeError(`\`${maker}\` returned ${typeof output} where an Output belongs`);
  }
  const { subject, payload, headers, key } = output;
  return {
    subject: text("subject", subject),
    payload: bytes(payload),
    headers: headers?.map(({ name, value }) => ({
      name: text("header's name", name) ?? "",
      value: text("header's value", value) ?? "",
    })),
    key: text("key", key),
  };
}

/**
 * @param {string} what
 * @param {unknown} value
 */
function text(what, value) {
  if (value === undefined || typeof value === "string") return value;
  throw new TypeError(`the ${what} of an output is ${shown(value)} and no string`);
}

/** @param {unknown} value */
function bytes(value) {
  // Asked like this, because bytes may be of another realm, with another `Uint8Array`.
  if (value === undefined || ArrayBuffer.isView(value)) return value;
  if (typeof value === "string") return encoder.encode(value);
  throw new TypeError(`the payload of an output is ${shown(value)}: see Output.json`);
}

/** @param {unknown} value */
function shown(value) {
  return value === null ? "null" : `of type ${typeof value}`;
}
