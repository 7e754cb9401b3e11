import { Reject } from "./errors.js";
import { parse } from "./json.js";

/** @typedef {import("./weir.js").Header} Header */

const decoder = new TextDecoder("utf-8", { fatal: true, ignoreBOM: true });
const encoder = new TextEncoder();

/** One message, as the host hands it to an operator. */
export class Message {
  /**
   * Only for tests: messages come from the host.
   *
   * @param {object} fields
   * @param {string} fields.subject
   * @param {Uint8Array | string} [fields.payload]
   * @param {Header[]} [fields.headers]
   * @param {string | null} [fields.key]
   * @param {bigint} [fields.eventTime]
   * @param {bigint} [fields.sequence]
   * @param {number} [fields.attempt]
   */
  constructor({
    subject,
    payload = "",
    headers = [],
    key = null,
    eventTime = 0n,
    sequence = 1n,
    attempt = 1,
  }) {
    /** The subject it was published on, or that an earlier operator in the chain gave it. */
    this.subject = subject;
    /** The bytes, as they were published. Not necessarily text. */
    this.payload = typeof payload === "string" ? encoder.encode(payload) : payload;
    /**
     * The headers that the operator's `headers:` in the pipeline file asks for; none by default. A
     * name may occur more than once; order is kept.
     */
    this.headers = headers;
    /** What the pipeline's `key:` rule takes from it, or an earlier operator set; or `null`. */
    this.key = key;
    /** When it happened: nanoseconds since the Unix epoch, exactly. See {@link Message.time}. */
    this.eventTime = eventTime;
    /**
     * The sequence in the source stream, from 1. With the operator's name it is an idempotency key
     * for side effects: a redelivered message has the same sequence.
     */
    this.sequence = sequence;
    /** 1 on first delivery, one more on each redelivery. */
    this.attempt = attempt;
  }

  /**
   * The payload as JSON; integers past 2^53 are a `BigInt`. It is not checked to be a `T`.
   *
   * @template [T=any]
   * @returns {T}
   * @throws {Reject} Where it is not JSON, saying where.
   */
  json() {
    const text = this.text();
    try {
      return parse(text);
    } catch (error) {
      throw new Reject(`cannot read the payload as JSON: ${error instanceof Error ? error.message : error}`);
    }
  }

  /**
   * The payload as text.
   *
   * @returns {string}
   * @throws {Reject} Where it is not UTF-8.
   */
  text() {
    try {
      return decoder.decode(this.payload);
    } catch {
      throw new Reject("cannot read the payload as text: it is not UTF-8");
    }
  }

  /**
   * The first value of a header; names are compared without regard to case. Only the headers that
   * the operator's `headers:` asks for are here.
   *
   * @param {string} name
   * @returns {string | undefined}
   */
  header(name) {
    const wanted = name.toLowerCase();
    return this.headers.find((header) => header.name.toLowerCase() === wanted)?.value;
  }

  /**
   * One token of the subject, from 0: of `orders.berlin.paid`, token 1 is `berlin`.
   *
   * @param {number} index
   * @returns {string | undefined}
   */
  token(index) {
    return this.subject.split(".")[index];
  }

  /** The event time, to the millisecond. */
  get time() {
    return new Date(Number(this.eventTime / 1_000_000n));
  }
}
