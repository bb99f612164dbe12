import assert from "node:assert/strict";
import { test } from "node:test";

/** @type {any} */
const page = globalThis;

/** An element that knows its neighbours by selector. */
class FakeElement {
  textContent = "";
  offsetParent = {};
  /** @type {Record<string, any>} */
  near = {};
  /** @type {Record<string, (event: any) => void>} */
  heard = {};
  /** @param {string} selector */
  querySelector(selector) {
    return this.near[selector] ?? null;
  }
  /** @param {string} selector */
  closest(selector) {
    return this.near[selector] ?? null;
  }
  /** @param {string} name @param {(event: any) => void} listener */
  addEventListener(name, listener) {
    this.heard[name] = listener;
  }
  showModal() {}
}

/** @type {Map<string, (line: string) => void>} */
const answers = new Map();
page.HTMLElement = page.Element = page.HTMLAnchorElement = FakeElement;
page.document = new FakeElement();
page.window = { setInterval: () => 0 };
page.fetch = (/** @type {string} */ address) =>
  new Promise((resolve) => {
    answers.set(address, (line) => resolve({ ok: true, text: async () => line }));
  });
const { RowDialog } = await import("../../static/js/elements/row_dialog.js");

/** Press the link of a row whose call is at `href`. @param {string} href */
function press(href) {
  const link = Object.assign(new FakeElement(), { href });
  const row = new FakeElement();
  row.near = { ".menu a": link };
  link.near = { "ticker-table tbody tr": row, ".menu a": link };
  page.document.heard.click({ target: link, preventDefault() {} });
}

test("a slow answer for a former row does not replace the call of the row now open", async () => {
  const command = new FakeElement();
  const dialog = /** @type {any} */ (new RowDialog());
  dialog.near = { dialog: new FakeElement(), "[data-command]": command };
  dialog.connectedCallback();
  press("/tickers/tBTCUSD/curl/");
  press("/tickers/tETHUSD/curl/");
  answers.get("/tickers/tETHUSD/curl/")?.("curl ETH");
  answers.get("/tickers/tBTCUSD/curl/")?.("curl BTC");
  await new Promise(setImmediate);
  assert.equal(command.textContent, "curl ETH");
});
