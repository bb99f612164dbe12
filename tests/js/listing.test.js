import assert from "node:assert/strict";
import { test } from "node:test";
import { admits, comparator, nextSort, searchText, usdRates } from "../../static/js/listing.js";

const wish = { q: "", show: "", sort: "-turnover" };
const iota = {
  quote_code: "UST",
  funding: false,
  search: searchText({ label: "IOTA/USDt", symbol: "tIOTUST", name: "Iota" }),
};

for (const q of ["iota", "IOTA/USDt", "tiotust", "usdt", " iota ", "a/u"]) {
  test(`a pair is found by "${q}"`, () => assert.ok(admits({ ...wish, q }, iota, false)));
}

test("a pair is not found by another's name", () => {
  assert.equal(admits({ ...wish, q: "bitcoin" }, iota, false), false);
});

test("a quote currency shows its pairs only", () => {
  assert.ok(admits({ ...wish, show: "UST" }, iota, false));
  assert.equal(admits({ ...wish, show: "USD" }, iota, false), false);
  assert.equal(admits({ ...wish, show: "funding" }, iota, false), false);
});

test("favourites show what is starred, of every kind", () => {
  assert.ok(admits({ ...wish, show: "favourites" }, iota, true));
  assert.equal(admits({ ...wish, show: "favourites" }, iota, false), false);
});

test("pressing a column sorts from the top, pressing again turns round", () => {
  assert.equal(nextSort("last", "-turnover"), "-last");
  assert.equal(nextSort("last", "-last"), "last");
  assert.equal(nextSort("last", "last"), "-last");
  assert.equal(nextSort("symbol", "-turnover"), "symbol");
});

/** @param {string} label @param {number | null} number @param {object} [more] */
const row = (label, number, more) => ({ label, number, paper: false, favourite: false, ...more });

/** @param {string} sort @param {import("../../static/js/listing.js").Sortable[]} rows */
const sorted = (sort, rows) => rows.sort(comparator(sort)).map(({ label }) => label);

test("favourites come first, paper markets last, rows without a number behind", () => {
  const rows = [
    row("paper", 9, { paper: true }),
    row("none", null),
    row("small", 1),
    row("big", 5),
    row("starred", 0, { favourite: true }),
  ];
  assert.deepEqual(sorted("-turnover", rows), ["starred", "big", "small", "none", "paper"]);
  assert.deepEqual(sorted("turnover", rows), ["starred", "small", "big", "none", "paper"]);
});

test("equal numbers are in order of name, and names sort both ways", () => {
  assert.deepEqual(sorted("-last", [row("B", 1), row("A", 1)]), ["A", "B"]);
  assert.deepEqual(sorted("-symbol", [row("A", 1), row("B", 1)]), ["B", "A"]);
});

test("rates in USD are direct, else over one other currency", () => {
  const pair = (/** @type {string} */ base_code, /** @type {string} */ quote_code, last = 1) => ({
    base_code,
    quote_code,
    last,
  });
  const rates = usdRates([
    pair("ETH", "BTC", 0.04),
    pair("BTC", "USD", 50_000),
    pair("ETH", "USD", 2100),
    pair("UST", "USD", 2),
    pair("NEW", "UST", 3),
    pair("UST", "CNHT", 8),
  ]);
  assert.equal(rates.get("ETH"), 2100);
  assert.equal(rates.get("NEW"), 6);
  assert.equal(rates.get("CNHT"), 0.25);
});

test("a price too large for a number makes no rate", () => {
  const last = Number.POSITIVE_INFINITY;
  const rates = usdRates([{ base_code: "ETH", quote_code: "USD", last }]);
  assert.deepEqual([...rates], [["USD", 1]]);
});
