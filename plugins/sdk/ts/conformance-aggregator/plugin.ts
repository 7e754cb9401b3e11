/** The aggregator of the conformance suite, in TypeScript: see plugins/sdk/conformance/README.md. */

import { Output, Reject, Retry } from "./sdk/weir.js";
import type { Message, Pane, Result } from "./sdk/weir.js";

interface Got {
  count: number;
  sum: number | bigint;
  first: number | bigint | null;
  words: string[];
}

/** The payload of every case. */
interface Given {
  n: number | bigint;
  word?: string;
}

let answer: unknown;

export function configure(config: { refuse?: string; answer?: unknown } | null): void {
  if (config?.refuse !== undefined) throw new Reject(config.refuse);
  answer = config?.answer ?? null;
}

export function empty(): Got {
  return { count: 0, sum: 0, first: null, words: [] };
}

export function add(got: Got, message: Message): Got {
  const { n, word } = message.json<Given>();
  const which = message.token(1);
  if (which === "reject") throw new Reject("told to reject");
  if (which === "retry") throw new Retry("told to retry");
  if (which === "raise") throw new Error("told to raise");
  if (which !== "add") throw new Reject(`no such case: ${which}`);
  return {
    count: got.count + 1,
    sum: BigInt(got.sum) + BigInt(n),
    first: least(got.first, message.eventTime),
    words: word === undefined ? got.words : [...got.words, word],
  };
}

export function merge(left: Got, right: Got): Got {
  if (left.words.includes("clash") && right.words.includes("clash")) throw new Reject("told to clash");
  return {
    count: left.count + right.count,
    sum: BigInt(left.sum) + BigInt(right.sum),
    first: least(left.first, right.first),
    words: [...left.words, ...right.words],
  };
}

export function emit(pane: Pane, got: Got): Result {
  const told = (word: string) => got.words.includes(word);
  if (told("reject")) throw new Reject("told to reject a window");
  if (told("raise")) throw new Error("told to raise a window");
  if (told("none")) return null;
  if (told("many")) return [0, 1].map((index) => Output.json({ index }));
  if (told("set")) {
    return Output.text("set").withSubject("elsewhere").withKey("other").withHeader("Own", "header");
  }
  return Output.json({ ...pane, ...got, answer });
}

function least(one: Got["first"], other: Got["first"]): Got["first"] {
  if (one === null || other === null) return one ?? other;
  return one < other ? one : other;
}
