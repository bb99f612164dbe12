import assert from "node:assert/strict";
import { test } from "node:test";
import { fieldsOf, OPTIONAL, total } from "../../static/js/orders/order_fields.js";

const PAIR = "tBTCUSD";
const DERIVATIVE = "tBTCF0:USTF0";

/** @param {string} type @param {string} [symbol] @param {boolean} [oco] */
const names = (type, symbol = PAIR, oco = false) => [...fieldsOf(type, symbol, oco)].sort();

test("each type has the prices it needs", () => {
  assert.deepEqual(names("EXCHANGE MARKET"), []);
  assert.deepEqual(names("EXCHANGE STOP"), ["price"]);
  assert.deepEqual(names("EXCHANGE STOP LIMIT"), ["price", "price_aux_limit"]);
  assert.deepEqual(names("EXCHANGE TRAILING STOP"), ["price_trailing"]);
  assert.deepEqual(names("EXCHANGE FOK"), ["price"]);
  assert.deepEqual(names("EXCHANGE IOC"), ["price"]);
});

test("a limit order may be post only or have a stop beside it", () => {
  assert.deepEqual(names("EXCHANGE LIMIT"), ["oco", "post_only", "price"]);
  assert.ok(names("EXCHANGE LIMIT", PAIR, true).includes("price_oco_stop"));
  assert.ok(!names("EXCHANGE STOP", PAIR, true).includes("price_oco_stop"));
});

test("a margin order may close and reduce, a derivative has leverage", () => {
  assert.deepEqual(names("MARKET"), ["close", "reduce_only"]);
  assert.deepEqual(names("MARKET", DERIVATIVE), ["close", "leverage", "reduce_only"]);
  assert.ok(!names("EXCHANGE MARKET", DERIVATIVE).includes("leverage"));
});

test("a type nobody knows hides what is optional", () => {
  assert.deepEqual(
    names("GIFT", PAIR).filter((name) => name.startsWith("price")),
    [],
  );
  assert.ok(names("LIMIT", DERIVATIVE, true).every((name) => OPTIONAL.includes(name)));
});

test("the total is known only of two good numbers", () => {
  assert.equal(total("2", "1000.5"), 2001);
  for (const [amount, price] of [
    ["", "1"],
    ["1", ""],
    ["x", "1"],
    ["-1", "2"],
    ["1", "1e999"],
  ])
    assert.equal(total(amount ?? "", price ?? ""), null);
});
