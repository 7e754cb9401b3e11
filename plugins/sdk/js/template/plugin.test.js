import assert from "node:assert";
import test from "node:test";
import { configure, process } from "./plugin.js";
import { Message, Reject } from "./sdk/weir.js";

test("a reading above the limit is an alert", () => {
  configure({ limit: 30 });
  const read = (payload) => process(new Message({ subject: "readings.attic", payload }));
  const alert = read('{"sensor":"attic","celsius":31.5}');
  assert.equal(alert.payload, '{"sensor":"attic","above_limit":1.5}');
  assert.equal(read('{"sensor":"attic","celsius":30}'), null);
  assert.throws(() => read("not JSON"), Reject);
});
