/**
 * Requests through the host: `wasi:http/outgoing-handler`. Not for use by hand: `build.mjs` makes the component's
 * entry of this and the plugin. The engine's own `fetch` keeps handles of the host until its garbage collector runs,
 * which ends an instance after some thirty requests; here each is given back at once.
 */

import { HttpError, HttpResponse, serve } from "./http.js";

/** Bytes that a stream takes at once, by its contract. */
const WRITTEN = 4096;

/** Bytes to ask for at once. */
const READ = 65536n;

const TIMEOUTS = [
  "DNS-timeout",
  "connection-timeout",
  "connection-read-timeout",
  "connection-write-timeout",
  "HTTP-response-timeout",
];

/** @type {symbol} */
const disposal = Symbol.dispose ?? Symbol.for("dispose");

/**
 * What `use` makes of a resource of the host's, which is given back.
 *
 * @param {any} resource
 * @param {(resource: any) => any} use
 */
function using(resource, use) {
  try {
    return use(resource);
  } finally {
    resource[disposal]();
  }
}

/** That of the engine would end the instance. */
globalThis.fetch = () => {
  throw new Error("a plugin has no `fetch`: send requests with `http` of the SDK");
};

/** In a component that was built without it. */
export function disconnect() {
  serve(() => {
    throw new Error("a plugin that sends requests needs `http: true` in plugin.yaml");
  });
}

/**
 * @param {any} types
 * @param {Function} handle
 */
export function connect(types, handle) {
  serve(({ method, url, headers, body, timeoutMs }) => {
    const parts = /^((https?):\/\/([^/?#]*))([^#]*)/i.exec(url);
    if (!parts) throw new HttpError("a request needs an address that begins with `https://` or `http://`");
    const [, server, scheme, authority, path] = parts;
    const invalid = (what) => () => new HttpError(`a request to \`${server}\` has ${what}`);
    const lines = body ? [...headers, ["content-length", String(body.length)]] : headers;
    const encoder = new TextEncoder();
    const entries = lines.map(([name, value]) => [name, encoder.encode(value)]);
    const fields = attempt(() => types.Fields.fromList(entries), invalid("a header that cannot be sent"));
    const request = new types.OutgoingRequest(fields);
    attempt(() => {
      request.setMethod({ tag: "other", val: method });
      request.setScheme({ tag: scheme.length === 5 ? "HTTPS" : "HTTP" });
      request.setAuthority(authority);
      request.setPathWithQuery(path.startsWith("/") ? path : `/${path}`);
    }, invalid("an address or a method that is not valid"));
    return attempt(
      () => {
        const outgoing = body && request.body();
        return using(handle(request, options(timeoutMs)), (future) => {
          if (outgoing) write(outgoing, body);
          using(future.subscribe(), (pollable) => pollable.block());
          const { val: head } = future.get();
          if (head.tag === "err") throw Object.assign(new Error(), { payload: head.val });
          return using(head.val, read);
        });
      },
      (code) => explained(server, code?.tag),
    );
  });

  /** @param {number | undefined} timeoutMs */
  function options(timeoutMs) {
    if (timeoutMs === undefined) return undefined;
    const nanoseconds = BigInt(Math.max(1, Math.ceil(timeoutMs))) * 1_000_000n;
    const options = new types.RequestOptions();
    options.setConnectTimeout(nanoseconds);
    options.setFirstByteTimeout(nanoseconds);
    options.setBetweenBytesTimeout(nanoseconds);
    return options;
  }

  /**
   * Sends the body. What goes wrong on the way is told by the response.
   *
   * @param {any} outgoing
   * @param {Uint8Array} body
   */
  function write(outgoing, body) {
    try {
      using(outgoing.write(), (stream) => {
        for (let start = 0; start < body.length; start += WRITTEN) {
          stream.blockingWriteAndFlush(body.slice(start, start + WRITTEN));
        }
      });
      types.OutgoingBody.finish(outgoing, undefined);
    } catch (error) {
      if (payload(error) === undefined) throw error;
    }
  }

  /** @param {any} response */
  function read(response) {
    const decoder = new TextDecoder();
    const entries = using(response.headers(), (fields) => fields.entries());
    const headers = entries.map(([name, value]) => ({ name, value: decoder.decode(bytes(value)) }));
    const body = using(response.consume(), (body) => using(body.stream(), readAll));
    return new HttpResponse({ status: response.status(), headers, body });
  }

  /** @param {any} stream */
  function readAll(stream) {
    /** @type {Uint8Array[]} */
    const chunks = [];
    try {
      for (;;) chunks.push(bytes(stream.blockingRead(READ)));
    } catch (error) {
      const reason = payload(error);
      if (reason?.tag === "last-operation-failed") {
        const code = using(reason.val, (cause) => types.httpErrorCode(cause));
        throw Object.assign(new Error(), { payload: code ?? { tag: "HTTP-response-incomplete" } });
      }
      if (reason?.tag !== "closed") throw error;
    }
    const whole = new Uint8Array(chunks.reduce((length, chunk) => length + chunk.length, 0));
    let at = 0;
    for (const chunk of chunks) {
      whole.set(chunk, at);
      at += chunk.length;
    }
    return whole;
  }
}

/**
 * Bytes of the host's, which the engine makes in a realm of its own.
 *
 * @param {any} given
 */
const bytes = (given) => new Uint8Array(given.buffer, given.byteOffset, given.byteLength);

/**
 * What the engine throws where the contract has an error: its value, which may be none.
 *
 * @param {any} error
 */
const payload = (error) => (error && Object.hasOwn(error, "payload") ? (error.payload ?? null) : undefined);

/**
 * @param {() => any} call
 * @param {(value: any) => Error} become
 */
function attempt(call, become) {
  try {
    return call();
  } catch (error) {
    const value = payload(error);
    throw value === undefined ? error : become(value);
  }
}

/**
 * A path may hold secrets, so that errors name the server alone.
 *
 * @param {string} server
 * @param {string} [code]
 */
function explained(server, code = "unknown") {
  const request = `a request to \`${server}\``;
  if (code === "HTTP-request-denied") {
    return new HttpError(`${request} was denied: it is not in \`grants.http\``, "denied");
  }
  if (code === "destination-IP-prohibited") {
    const why = "it leads to an address that is not public, and it is not in `grants.http-private`";
    return new HttpError(`${request} was denied: ${why}`, "denied");
  }
  if (code === "HTTP-response-body-size") {
    return new HttpError(`the response of \`${server}\` is larger than \`limits.http-response\``, "too-large");
  }
  if (TIMEOUTS.includes(code)) return new HttpError(`${request} timed out`, "timeout");
  return new HttpError(`${request} failed: ${code}`);
}
