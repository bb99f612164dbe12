import * as format from "./format.js";
import { searchText } from "./listing.js";
import { polyline } from "./trend.js";

/** @type {SourceWord[]} */
const SOURCES = ["snapshot", "live", "stale"];
const FLASHING = new Set(["last", "bid", "ask"]);
const SVG = "http://www.w3.org/2000/svg";
const LONG = 11; // as in market/views/ticker_page.py
const TREND_WIDTH = 84;
const TREND_HEIGHT = 20;

/**
 * One `<tr>` of the grid: what it is, and how a quote is painted into it. Painting touches only
 * what differs from what the row shows already.
 */
export class RowView {
  visible = false;
  favourite = false;
  /** Cells that flash since this was last emptied. @type {HTMLElement[]} */
  flashed = [];
  /** @type {Map<string, HTMLElement>} */
  #cells = new Map();
  /** @type {number} */
  #seen = 0;
  /** @type {SVGPolylineElement | null} */
  #line = null;

  /** @param {HTMLTableRowElement} tr */
  constructor(tr) {
    this.tr = tr;
    this.symbol = tr.dataset.symbol ?? "";
    this.quote_code = tr.dataset.quote ?? "";
    this.base_code = tr.dataset.base ?? "";
    this.paper = tr.dataset.paper !== undefined;
    this.funding = this.symbol.startsWith("f");
    this.star = one(tr, ".pin button");
    this.link = /** @type {HTMLAnchorElement} */ (one(tr, ".menu a"));
    const text = (/** @type {string} */ selector) => tr.querySelector(selector)?.textContent ?? "";
    const base = text(".pair b");
    const quote = text(".pair span").slice(1);
    this.label = quote ? `${base}/${quote}` : `${base} funding`;
    this.search = searchText({ label: this.label, symbol: this.symbol, name: text(".name") });
  }

  /** What the server wrote into the row. @returns {Quote} */
  read() {
    const number = (/** @type {string} */ field) => {
      const text = this.#cell(field)?.dataset.value;
      return text ? Number(text) : null;
    };
    const source = SOURCES.indexOf(/** @type {SourceWord} */ (this.tr.dataset.source));
    const days = (/** @type {string} */ field) =>
      Number.parseInt(this.#cell(field)?.querySelector("small")?.textContent ?? "", 10) || null;
    const time = this.#cell("age")?.querySelector("time");
    return {
      symbol: this.symbol,
      last: number("last"),
      bid: number("bid"),
      ask: number("ask"),
      change: number("change"),
      change_percent: number("change-percent"),
      volume: number("volume"),
      high: number("high"),
      low: number("low"),
      seen: time ? Date.parse(time.dateTime) : 0,
      source,
      frr: number("frr"),
      bid_period: days("bid"),
      ask_period: days("ask"),
    };
  }

  /**
   * @param {Quote} quote
   * @param {{turnover: number | null, stale: boolean, flash: boolean}} how
   */
  paint(quote, { turnover, stale, flash }) {
    const money = this.funding ? format.rate : format.price;
    this.#put("last", quote.last, money, flash);
    this.#put("bid", quote.bid, money, flash, quote.bid_period);
    this.#put("ask", quote.ask, money, flash, quote.ask_period);
    this.#put("change", quote.change, this.funding ? format.signedRate : format.signed);
    this.#put("change-percent", quote.change_percent, format.percent);
    this.#put("high", quote.high, money);
    this.#put("low", quote.low, money);
    this.#put("volume", quote.volume, format.amount);
    this.#put("turnover", turnover, format.compact);
    if (this.funding) this.#put("frr", quote.frr ?? null, money);
    set(this.tr, "direction", format.direction(quote.change || quote.change_percent));
    this.paintSource(stale ? "stale" : (SOURCES[quote.source] ?? "stale"));
    this.#seen = quote.seen;
  }

  /** @param {SourceWord} word */
  paintSource(word) {
    if (this.tr.dataset.source === word) return;
    this.tr.dataset.source = word;
    const spoken = this.#cell("age")?.querySelector(".sr");
    if (spoken) spoken.textContent = word;
  }

  /** @param {number} now server clock, ms */
  paintAge(now) {
    const cell = this.#cell("age");
    const time = cell?.querySelector("time");
    if (!cell || !time) return;
    const seconds = this.#seen ? Math.max(0, Math.floor((now - this.#seen) / 1000)) : 0;
    if (cell.dataset.value === String(seconds)) return;
    cell.dataset.value = String(seconds);
    write(time, format.age(seconds));
    const at = new Date(this.#seen).toISOString();
    if (time.dateTime !== at) time.dateTime = at;
  }

  /** @param {[number, number][]} points */
  paintTrend(points) {
    const line = polyline(points, TREND_WIDTH, TREND_HEIGHT);
    if (!line && !this.#line) return;
    this.#line ??= newLine(one(this.tr, ".trend"));
    if (this.#line.getAttribute("points") !== line) this.#line.setAttribute("points", line);
  }

  /** @param {boolean} favourite */
  setFavourite(favourite) {
    this.favourite = favourite;
    this.star.setAttribute("aria-pressed", String(favourite));
  }

  /** Take the row's controls out of the Tab order; `row_keys.js` puts one row back. */
  leaveTabOrder() {
    this.star.tabIndex = this.link.tabIndex = -1;
  }

  /**
   * @param {string} field
   * @param {number | null} number
   * @param {(number: number | null) => string} text
   * @param {boolean} [flash]
   * @param {number | null} [days]
   */
  #put(field, number, text, flash = false, days = null) {
    const cell = this.#cell(field);
    if (!cell) return;
    const exact = format.value(number);
    const old = cell.dataset.value;
    const note = days ? `${days}d` : "";
    if (note) this.#putNote(cell, note);
    if (old === exact) return;
    const shown = text(number);
    cell.dataset.value = exact;
    write(cell, shown);
    cell.classList.toggle("long", shown.length + note.length > LONG);
    if (flash && old && exact && FLASHING.has(field)) {
      cell.dataset.flash = Number(exact) > Number(old) ? "up" : "down";
      this.flashed.push(cell);
    }
  }

  /** @param {HTMLElement} cell @param {string} text */
  #putNote(cell, text) {
    const note = cell.querySelector("small") ?? cell.appendChild(document.createElement("small"));
    if (note.textContent !== text) note.textContent = text;
  }

  /** @param {string} field */
  #cell(field) {
    let cell = this.#cells.get(field);
    if (!cell) {
      const found = this.tr.querySelector(`[data-field="${field}"]`);
      if (!(found instanceof HTMLElement)) return undefined;
      cell = found;
      this.#cells.set(field, cell);
    }
    return cell;
  }
}

/**
 * A row for a symbol that came up after the page was made.
 *
 * @param {HTMLTemplateElement} template @param {string} symbol @param {Names} names
 */
export function newRow(template, symbol, names) {
  const copy = document.importNode(template.content, true);
  const tr = /** @type {HTMLTableRowElement} */ (one(copy, "tr"));
  Object.assign(tr.dataset, { symbol, quote: names.quote_code, base: names.base_code });
  if (names.paper) tr.dataset.paper = "";
  one(tr, ".pair b").textContent = names.base;
  one(tr, ".name").textContent = names.name;
  if (names.quote) one(tr, ".pair").append(element("span", `/${names.quote}`));
  if (names.paper) one(tr, ".pair").after(element("em", "paper"));
  one(tr, ".pin button").setAttribute("aria-label", `Favourite ${names.label}`);
  const link = /** @type {HTMLAnchorElement} */ (one(tr, ".menu a"));
  link.href = names.curl_url;
  link.setAttribute("aria-label", `REST call for ${names.label}`);
  const trade = tr.querySelector("a.trade");
  if (trade instanceof HTMLAnchorElement) {
    trade.href += encodeURIComponent(symbol);
    trade.setAttribute("aria-label", `Trade ${names.label}`);
  }
  return tr;
}

/** @param {string} name @param {string} text */
function element(name, text) {
  const made = document.createElement(name);
  made.textContent = text;
  return made;
}

/** @param {HTMLElement} cell */
function newLine(cell) {
  const svg = document.createElementNS(SVG, "svg");
  svg.setAttribute("viewBox", `-1 -1 ${TREND_WIDTH + 2} ${TREND_HEIGHT + 2}`);
  svg.setAttribute("aria-hidden", "true");
  const line = document.createElementNS(SVG, "polyline");
  svg.append(line);
  cell.append(svg);
  return line;
}

/** @param {ParentNode} root @param {string} selector @returns {HTMLElement} */
function one(root, selector) {
  return /** @type {HTMLElement} */ (root.querySelector(selector));
}

/** Change the element's own text, leave its other children. @param {HTMLElement} element @param {string} text */
function write(element, text) {
  const first = element.firstChild;
  if (first instanceof Text) first.data = text;
  else element.prepend(text);
}

/** @param {HTMLElement} element @param {string} name @param {string} value */
function set(element, name, value) {
  if (element.dataset[name] !== value) element.dataset[name] = value;
}
