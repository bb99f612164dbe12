import assert from "node:assert/strict";
import { test } from "node:test";
import { delay, LONGEST_MS, SHORTEST_MS } from "../../static/js/backoff.js";

const earliest = () => 0;
const latest = () => 1;

test("no wait is shorter than half a second or longer than fifteen", () => {
  for (let attempt = 0; attempt < 100; attempt++) {
    assert.equal(delay(attempt, 1006, earliest), SHORTEST_MS);
    assert.ok(delay(attempt, 1006, latest) <= LONGEST_MS);
  }
});

test("waits grow with every failure up to the longest", () => {
  const waits = [0, 1, 2, 3, 4, 5].map((attempt) => delay(attempt, 1006, latest));
  assert.deepEqual(waits, [1000, 2000, 4000, 8000, 15_000, 15_000]);
});

test("after a server's restart browsers spread out from the first attempt on", () => {
  assert.equal(delay(0, 1012, latest), 4000);
  assert.equal(delay(0, 1012, earliest), SHORTEST_MS);
});
