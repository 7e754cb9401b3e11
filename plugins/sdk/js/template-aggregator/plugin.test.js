import assert from "node:assert";
import test from "node:test";
import { add, configure, emit, empty, merge } from "./plugin.js";
import { Message, Reject } from "./sdk/weir.js";

test("a minute has the mean of its readings", () => {
  configure({ limit: 30 });
  const sum = (payload) => add(empty(), new Message({ subject: "readings.attic", payload }));
  const both = merge(sum('{"celsius":29}'), sum('{"celsius":32}'));
  const pane = { key: "attic", start: 0n, end: 60_000_000_000n, timing: "on-time", index: 0 };
  assert.equal(emit(pane, both).payload, '{"mean":30.5,"readings":2,"hot":1}');
  assert.throws(() => sum("not JSON"), Reject);
});
