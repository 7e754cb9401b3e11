/** The plugin of the conformance suite, in JavaScript: see plugins/sdk/conformance/README.md. */

import { config, http, HttpError, log, metrics, Output, Reject, Retry } from "./sdk/weir.js";

let answer = null;
let count = 0;

export function configure(given) {
  if (typeof given?.refuse === "string") throw new Reject(given.refuse);
  answer = given?.answer ?? null;
}

const cases = {
  pass: () => Output.pass(),
  drop: () => null,
  echo: (message) => Output.bytes(message.payload),
  describe: (message) =>
    Output.json({
      subject: message.subject,
      length: message.payload.length,
      headers: message.headers.map(({ name, value }) => [name, value]),
      key: message.key,
      event_time: message.eventTime,
      sequence: message.sequence,
      attempt: message.attempt,
    }),
  set: (message) => {
    const { subject, key, headers, text } = message.json();
    return new Output({
      subject,
      key,
      headers: headers?.map(([name, value]) => ({ name, value })),
      payload: text,
    });
  },
  many: (message) =>
    Array.from({ length: message.json().count }, (_, index) => Output.json({ index })),
  increment: (message) => {
    const { n } = message.json();
    if (n === undefined) throw new Reject("there is no `n`");
    return Output.json({ n: BigInt(n) + 1n });
  },
  shout: (message) => Output.text(`${message.text()}!`),
  retry: (message) => {
    const { reason, after_ms: afterMs } = message.json();
    throw new Retry(reason, { afterMs });
  },
  reject: (message) => {
    throw new Reject(message.text());
  },
  raise: (message) => {
    throw new Error(message.text());
  },
  count: () => {
    count += 1;
    return Output.json({ count });
  },
  config: () =>
    Output.json({
      pipeline: config.pipeline(),
      operator: config.operator(),
      answer: config.get("/answer") ?? null,
      configured: answer,
    }),
  log: (message) => {
    for (const level of ["trace", "debug", "info", "warn", "error"]) log[level](message.text());
    return null;
  },
  metrics: () => {
    metrics.add("conform_added", 3);
    metrics.set("conform_set", 2.5);
    metrics.observe("conform_observed", 0.5);
    return null;
  },
  http: (message) => {
    const { url, method = "GET", headers, body, timeout_ms: timeoutMs } = message.json();
    try {
      const response = http.fetch(method, url, { headers, body, timeoutMs });
      return Output.json({
        status: response.status,
        type: response.header("Content-Type") ?? null,
        length: response.body.length,
        body: response.text().slice(0, 100),
      });
    } catch (error) {
      throw error instanceof HttpError ? new Reject(`${error.kind}: ${error.message}`) : error;
    }
  },
};

export function process(message) {
  const which = message.token(1);
  const chosen = Object.hasOwn(cases, which) ? cases[which] : undefined;
  if (!chosen) throw new Reject(`no such case: ${which}`);
  return chosen(message);
}
