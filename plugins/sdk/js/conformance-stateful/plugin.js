/** The plugin with state of the conformance suite, in JavaScript: see plugins/sdk/conformance/README.md. */

import { Output, Reject, Retry, state, State, timers } from "./sdk/weir.js";

const counts = new State("count");
const notes = new State("note");
const encoder = new TextEncoder();
const decoder = new TextDecoder();

const cases = {
  count: (message) => Output.json({ count: count(message) }),
  counts: (_, { keys }) =>
    Output.json({ counts: counts.getMany(keys).map((value) => value ?? null) }),
  note: (message, { note, ttl_ms: ttlMs }) => {
    notes.set(message, note, { ttlMs });
    return null;
  },
  read: (message) => Output.json({ note: notes.get(message) ?? null }),
  forget: (message) => {
    counts.delete(message);
    notes.delete(message);
    return null;
  },
  put: (message, { name = "", text, ttl_ms: ttlMs }) => {
    state.set(message, name, encoder.encode(text), { ttlMs });
    return null;
  },
  fill: (message, { name = "", bytes }) => {
    state.set(message, name, encoder.encode("x".repeat(bytes)));
    return null;
  },
  remove: (message, { name = "" }) => {
    state.delete(message, name);
    return null;
  },
  scan: (message, { prefix, after, limit }) => {
    const found = state.scan(message, prefix, { after, limit });
    return Output.json({ found: found.map(([name, value]) => [name, decoder.decode(value)]) });
  },
  timer: (message, { tag, event_time: at, after_ms: afterMs }) => {
    if (at === undefined) timers.setAfter(message, tag, afterMs);
    else timers.set(message, tag, "event-time", BigInt(at));
    return null;
  },
  cancel: (message, { tag }) => {
    timers.cancel(message, tag);
    return null;
  },
  now: () =>
    Output.json({ event: timers.now("event-time"), processing: timers.now("processing-time") }),
};

export function process(message) {
  const which = message.token(1) ?? "";
  const chosen = Object.hasOwn(cases, which) ? cases[which] : undefined;
  return chosen ? chosen(message, message.json()) : end(which, message);
}

export function onTimer(timer) {
  if (timer.tag !== "count") return end(timer.tag, timer);
  const clock = timer.clock === "event-time" ? "event" : "processing";
  return Output.json({ count: count(timer), key: timer.key, clock, at: timer.at });
}

/** Counts, and ends badly. */
function end(which, keyed) {
  count(keyed);
  if (which === "reject") throw new Reject("told to reject");
  if (which === "retry") throw new Retry("told to retry");
  if (which === "raise") throw new Error("told to raise");
  throw new Reject(`no such case: ${which}`);
}

function count(keyed) {
  const value = (counts.get(keyed) ?? 0) + 1;
  counts.set(keyed, value);
  return value;
}
