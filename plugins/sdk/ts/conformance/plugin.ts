/** The plugin of the conformance suite, in TypeScript: see plugins/sdk/conformance/README.md. */

import { config, http, HttpError, log, metrics, Output, Reject, Retry } from "./sdk/weir.js";
import type { Message, Result } from "./sdk/weir.js";

let answer: unknown = null;
let count = 0;

export function configure(given: { refuse?: string; answer?: unknown } | null): void {
  if (typeof given?.refuse === "string") throw new Reject(given.refuse);
  answer = given?.answer ?? null;
}

interface Set {
  subject?: string;
  key?: string;
  headers?: [string, string][];
  text?: string;
}

interface Http {
  url: string;
  method?: string;
  headers?: [string, string][];
  body?: string;
  timeout_ms?: number;
}

const levels = ["trace", "debug", "info", "warn", "error"] as const;

const cases: Record<string, (message: Message) => Result> = {
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
    const { subject, key, headers, text } = message.json<Set>();
    const lines = headers?.map(([name, value]) => ({ name, value }));
    return new Output({ subject, key, headers: lines, payload: text });
  },
  many: (message) => {
    const { count: length } = message.json<{ count: number }>();
    return Array.from({ length }, (_, index) => Output.json({ index }));
  },
  increment: (message) => {
    const { n } = message.json<{ n?: number | bigint }>();
    if (n === undefined) throw new Reject("there is no `n`");
    return Output.json({ n: BigInt(n) + 1n });
  },
  shout: (message) => Output.text(`${message.text()}!`),
  retry: (message) => {
    const { reason, after_ms: afterMs } = message.json<{ reason: string; after_ms?: number }>();
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
    for (const level of levels) log[level](message.text());
    return null;
  },
  metrics: () => {
    metrics.add("conform_added", 3);
    metrics.set("conform_set", 2.5);
    metrics.observe("conform_observed", 0.5);
    return null;
  },
  http: (message) => {
    const { url, method = "GET", timeout_ms: timeoutMs, ...wanted } = message.json<Http>();
    try {
      const response = http.fetch(method, url, { ...wanted, timeoutMs });
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

export function process(message: Message): Result {
  const which = message.token(1) ?? "";
  const chosen = Object.hasOwn(cases, which) ? cases[which] : undefined;
  if (!chosen) throw new Reject(`no such case: ${which}`);
  return chosen(message);
}
