/**
 * HTTP requests to the servers that the operator's `grants.http` names. The plugin's `plugin.yaml` says
 * `http: true`. A request is at least once, as its message is: send the sequence as an idempotency key where a
 * repeat does harm.
 */

/** @typedef {import("./weir.js").Header} Header */
/** @typedef {"denied" | "timeout" | "too-large" | "failed"} HttpErrorKind */

/**
 * `content-length` is added to the headers, and `host` is that of the address. `timeoutMs` is the most that it
 * waits for a connection, for the answer, and between parts of the answer; otherwise it is half of the operator's
 * `limits.deadline`.
 *
 * @typedef {{ headers?: Record<string, string> | [string, string][], body?: Uint8Array | string, timeoutMs?: number }} HttpOptions
 */

/** @typedef {{ method: string, url: string, headers: [string, string][], body?: Uint8Array, timeoutMs?: number }} HttpRequest */

/** There is no response, or not all of it. Uncaught, it makes the message a dead letter. */
export class HttpError extends Error {
  /**
   * @param {string} reason
   * @param {HttpErrorKind} [kind] `denied`: it is not granted; `too-large`: more than `limits.http-response`.
   */
  constructor(reason, kind = "failed") {
    super(reason);
    this.name = "HttpError";
    this.kind = kind;
  }
}

/** A response, whatever its status. */
export class HttpResponse {
  /** @param {{ status: number, headers?: Header[], body?: Uint8Array | string }} fields */
  constructor({ status, headers = [], body = "" }) {
    this.status = status;
    /** The names are in lower case. */
    this.headers = headers;
    /** At most as many bytes as the operator's `limits.http-response`. */
    this.body = typeof body === "string" ? new TextEncoder().encode(body) : body;
  }

  /**
   * The first value of a header, compared without regard to case.
   *
   * @param {string} name
   */
  header(name) {
    return this.headers.find((line) => line.name.toLowerCase() === name.toLowerCase())?.value;
  }

  /** The body as text. */
  text() {
    return new TextDecoder("utf-8", { fatal: true }).decode(this.body);
  }

  /**
   * The body as JSON.
   *
   * @template [T=any]
   * @returns {T}
   */
  json() {
    return JSON.parse(this.text());
  }
}

export const http = {
  /**
   * Sends a GET and waits for the response.
   *
   * @param {string} url
   * @param {HttpOptions} [options]
   */
  get: (url, options) => http.fetch("GET", url, options),

  /**
   * Sends a request and waits for the response, whatever its status. Throws an {@link HttpError} if there is none.
   *
   * @param {string} method
   * @param {string} url
   * @param {HttpOptions} [options]
   * @returns {HttpResponse}
   */
  fetch: (method, url, { headers = [], body, timeoutMs } = {}) => {
    const lines = Array.isArray(headers) ? headers : Object.entries(headers);
    const bytes = typeof body === "string" ? new TextEncoder().encode(body) : body;
    return send({ method, url, headers: lines, body: bytes, timeoutMs });
  },
};

/** @type {(request: HttpRequest) => HttpResponse} */
let send = () => {
  throw new Error("nothing answers requests in this test: see `testing.serve`");
};

/**
 * All requests of a unit test are answered by this function from now on. In a plugin the host does: see
 * `http_host.js`.
 *
 * @param {(request: HttpRequest) => HttpResponse} server
 */
export function serve(server) {
  send = server;
}
