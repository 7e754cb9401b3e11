import assert from "node:assert";
import test from "node:test";
import { configure, onTimer, process } from "./plugin.js";
import { Message, Reject, testing } from "./sdk/weir.js";

test("a sensor is hot once, and silent in the end", () => {
  testing.clearState();
  configure({ limit: 30 });
  const read = (payload) => process(new Message({ subject: "readings.attic", key: "attic", payload }));
  assert.equal(read('{"celsius":31.5}').payload, '{"above_limit":1.5}');
  assert.equal(read('{"celsius":33}'), null);
  assert.throws(() => read("not JSON"), Reject);
  const [due, ...others] = testing.takeTimers();
  assert.deepEqual(others, []);
  assert.equal(onTimer(due).payload, '{"silent_minutes":10}');
  assert.equal(read('{"celsius":33}').payload, '{"above_limit":3}');
});
