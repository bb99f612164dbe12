import assert from "node:assert/strict";
import { beforeEach, test } from "node:test";
import { Store } from "../../static/js/store.js";

const FIELDS = ["symbol", "last", "bid"];
/** @type {Store} */
let store;
/** @type {import("../../static/js/store.js").Change[]} */
let changes;

beforeEach(() => {
  store = new Store();
  changes = [];
  store.listen((change) => changes.push(change));
  store.apply(
    {
      seq: 1,
      snapshot: true,
      now: 5000,
      fields: FIELDS,
      rows: [
        ["tBTCUSD", 10, 9],
        ["tETHUSD", 5, 4],
      ],
    },
    3000,
  );
});

test("a snapshot fills the table by the names it brings", () => {
  assert.deepEqual(store.rows.get("tBTCUSD"), { symbol: "tBTCUSD", last: 10, bid: 9 });
  assert.equal(changes[0]?.snapshot, true);
});

test("fields that were appended later do no harm", () => {
  store.apply({ rows: [["tBTCUSD", 11, 10, "new"]] }, 0);
  assert.deepEqual(store.rows.get("tBTCUSD"), { symbol: "tBTCUSD", last: 11, bid: 10 });
});

test("a row replaces the former one whole", () => {
  store.apply({ rows: [["tBTCUSD", 11]] }, 0);
  assert.deepEqual(store.rows.get("tBTCUSD"), { symbol: "tBTCUSD", last: 11 });
  assert.deepEqual([...(changes[1]?.symbols ?? [])], ["tBTCUSD"]);
});

test("what a snapshot lacks is gone", () => {
  store.apply({ snapshot: true, rows: [["tETHUSD", 6, 5]] }, 0);
  assert.deepEqual([...store.rows.keys()], ["tETHUSD"]);
});

test("the server's clock is known from its frames", () => {
  assert.equal(store.offset, 2000);
});

test("a frame without news wakes nobody", () => {
  store.apply({ pong: 1, now: 9000 }, 9000);
  assert.equal(changes.length, 1);
});

test("the feed's word is news", () => {
  const feed = /** @type {FeedStatus} */ ({ state: "stale" });
  store.apply({ feed, rows: [] }, 0);
  assert.equal(changes[1]?.news, true);
  assert.equal(store.feed, feed);
});

test("who stopped listening hears nothing", () => {
  let heard = 0;
  store.listen(() => heard++)();
  store.apply({ rows: [["tBTCUSD", 1, 1]] }, 0);
  assert.equal(heard, 0);
});
