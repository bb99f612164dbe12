import assert from "node:assert/strict";
import { test } from "node:test";
import { History, POINTS, polyline } from "../../static/js/trend.js";

/** @param {string} symbol @param {number} last */
const quote = (symbol, last) => /** @type {Quote} */ ({ symbol, last });

test("prices are kept once a step", () => {
  const history = new History();
  for (const now of [0, 1000, 5000, 5001]) history.sample([quote("tBTCUSD", now)], now);
  assert.deepEqual(history.of("tBTCUSD"), [
    [0, 0],
    [5000, 5000],
  ]);
});

test("it goes on from what the server has seen", () => {
  const history = new History();
  history.load({
    step: 10_000,
    times: [0, 10_000],
    prices: { tBTCUSD: [1, 2], tNEWUSD: [null, 7] },
  });
  history.sample([quote("tBTCUSD", 3)], 15_000);
  history.sample([quote("tBTCUSD", 4)], 20_000);
  assert.deepEqual(history.of("tBTCUSD"), [
    [0, 1],
    [10_000, 2],
    [20_000, 4],
  ]);
  assert.deepEqual(history.of("tNEWUSD"), [[10_000, 7]]);
});

test("a full history gets half as dense and keeps its beginning", () => {
  const history = new History();
  for (let now = 0; now <= POINTS * 5000; now += 5000) history.sample([quote("tBTCUSD", now)], now);
  const times = history.of("tBTCUSD").map(([time]) => time);
  assert.deepEqual(times.slice(0, 3), [0, 10_000, 20_000]);
  assert.ok(times.length <= POINTS);
});

test("a history never holds more than its points, and after a day the oldest goes", () => {
  const history = new History();
  for (let now = 0; now < 3 * 86_400_000; now += 60_000)
    history.sample([quote("tBTCUSD", now)], now);
  const points = history.of("tBTCUSD");
  assert.ok(points.length <= POINTS);
  assert.ok((points[0]?.[0] ?? 0) > 0);
});

test("a line runs over time from left to right, high prices on top", () => {
  const points = /** @type {[number, number][]} */ ([
    [0, 1],
    [50, 3],
    [100, 2],
  ]);
  assert.equal(polyline(points, 80, 20), "0.0,20.0 40.0,0.0 80.0,10.0");
});

test("an unmoved price is a line in the middle, a single one is none", () => {
  assert.equal(
    polyline(
      [
        [0, 5],
        [10, 5],
      ],
      80,
      20,
    ),
    "0.0,10.0 80.0,10.0",
  );
  assert.equal(polyline([[0, 5]], 80, 20), "");
  assert.equal(polyline([], 80, 20), "");
});
