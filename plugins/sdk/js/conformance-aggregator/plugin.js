/** The aggregator of the conformance suite, in JavaScript: see plugins/sdk/conformance/README.md. */

import { Output, Reject, Retry } from "./sdk/weir.js";

let answer;

export function configure(config) {
  if (config?.refuse !== undefined) throw new Reject(config.refuse);
  answer = config?.answer ?? null;
}

export function empty() {
  return { count: 0, sum: 0n, first: null, words: [] };
}

export function add(got, message) {
  const { n, word } = message.json();
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

export function merge(left, right) {
  if (left.words.includes("clash") && right.words.includes("clash")) throw new Reject("told to clash");
  return {
    count: left.count + right.count,
    sum: BigInt(left.sum) + BigInt(right.sum),
    first: least(left.first, right.first),
    words: [...left.words, ...right.words],
  };
}

export function emit(pane, got) {
  const told = (word) => got.words.includes(word);
  if (told("reject")) throw new Reject("told to reject a window");
  if (told("raise")) throw new Error("told to raise a window");
  if (told("none")) return null;
  if (told("many")) return [0, 1].map((index) => Output.json({ index }));
  if (told("set")) {
    return Output.text("set").withSubject("elsewhere").withKey("other").withHeader("Own", "header");
  }
  return Output.json({ ...pane, ...got, answer });
}

function least(one, other) {
  if (one === null || other === null) return one ?? other;
  return one < other ? one : other;
}
