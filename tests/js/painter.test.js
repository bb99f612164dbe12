import assert from "node:assert/strict";
import { test } from "node:test";

/** @type {any} */
const page = globalThis;
/** @type {(() => void)[]} */
const frames = [];
/** @type {unknown[]} */
const reported = [];
page.matchMedia = () => ({ matches: false });
page.document = { hidden: false };
page.requestAnimationFrame = (/** @type {() => void} */ draw) => frames.push(draw);
page.reportError = (/** @type {unknown} */ error) => reported.push(error);
page.IntersectionObserver = class {
  observe() {}
};
const { Painter } = await import("../../static/js/painter.js");

/** @param {string} symbol @param {() => void} paint @returns {any} */
const view = (symbol, paint) => ({
  ...{ symbol, paint, tr: {}, visible: true, funding: false, flashed: [] },
  ...{ base_code: symbol.slice(1, 4), quote_code: symbol.slice(4), paintAge() {} },
});

/** @param {Record<string, object>} rows */
function painter(rows) {
  const store = { rows: new Map(Object.entries(rows)), offset: 0 };
  const made = new Painter(/** @type {any} */ (store), /** @type {any} */ (null), () => {});
  made.rates = new Map([["USD", 1]]);
  return made;
}

test("a row that cannot be painted does not stop the rows behind it", () => {
  const rows = painter({ tBADUSD: {}, tBTCUSD: {} });
  let painted = 0;
  const bad = new Error("bad row");
  rows.add(
    view("tBADUSD", () => {
      throw bad;
    }),
  );
  rows.add(view("tBTCUSD", () => painted++));
  rows.paint(["tBADUSD", "tBTCUSD"]);
  frames.pop()?.();
  assert.equal(painted, 1);
  assert.deepEqual(reported, [bad]);
});

test("turnover is unknown where it is too large for a number", () => {
  const rows = painter({
    tBIGUSD: { last: 1e300, volume: 1e300 },
    tINFUSD: { last: 1, volume: Number.POSITIVE_INFINITY },
    tBTCUSD: { last: 2, volume: 3 },
  });
  const turnover = (/** @type {string} */ symbol) =>
    rows.number(
      view(symbol, () => {}),
      "turnover",
    );
  assert.deepEqual(["tBIGUSD", "tINFUSD", "tBTCUSD"].map(turnover), [null, null, 6]);
});
