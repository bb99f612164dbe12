import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import { test } from "node:test";
import * as format from "../../static/js/format.js";

/** @type {Record<string, [number, string][]>} */
const cases = JSON.parse(readFileSync(new URL("format_cases.json", import.meta.url), "utf8"));

for (const [name, pairs] of Object.entries(cases)) {
  test(`${name} reads as on the server`, () => {
    const spelled = name.replace(/_(.)/g, (_, letter) => letter.toUpperCase());
    const make = /** @type {Record<string, any>} */ (format)[spelled];
    for (const [number, text] of pairs) assert.equal(make(number), text, `${name}(${number})`);
  });
}

test("plain text is the same number again", () => {
  for (let power = -12; power < 25; power++) {
    for (const digits of [1, 1.2345, 9.87654321]) {
      const number = Number(`${digits}e${power}`);
      assert.equal(Number(format.plain(number)), number);
      assert.match(format.plain(number), /^\d+(\.\d+)?$/);
    }
  }
});
