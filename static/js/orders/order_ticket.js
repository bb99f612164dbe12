import * as format from "../format.js";
import { socket, store } from "../live.js";
import { fieldsOf, OPTIONAL, total } from "./order_fields.js";

const SHOWN = /** @type {const} */ (["last", "bid", "ask"]);
const LIVE = 1;

/**
 * The ticket with a script: only the fields that the chosen type has, the live price of the chosen
 * symbol, and what the order comes to. Without one all fields are there and the server says which
 * are too many.
 */
export class OrderTicket extends HTMLElement {
  connectedCallback() {
    this.addEventListener("input", () => this.#arrange());
    store.listen(({ symbols }) => symbols.has(this.#value("symbol")) && this.#paint());
    setInterval(() => this.#paintAge(), 1000);
    this.#arrange();
  }

  #arrange() {
    const oco = this.#control("oco");
    const ticked = oco instanceof HTMLInputElement && oco.checked;
    const fields = fieldsOf(this.#value("order_type"), this.#value("symbol"), ticked);
    for (const name of OPTIONAL) {
      const place = this.querySelector(`[data-name="${name}"]`);
      const control = this.#control(name);
      if (!(place instanceof HTMLElement) || !control) continue;
      place.hidden = !fields.has(name);
      control.disabled = !fields.has(name);
    }
    const hint = this.querySelector("#id_price_helptext");
    if (hint instanceof HTMLElement) hint.hidden = !this.#value("order_type").includes("STOP");
    socket.watch([this.#value("symbol")]);
    this.#paint();
  }

  #paint() {
    const symbol = this.#value("symbol");
    const quote = store.rows.get(symbol);
    if (store.rows.size) {
      for (const name of SHOWN) this.#write(name, quote?.[name] ?? null);
      const heading = this.querySelector("[data-market-name]");
      if (heading && this.dataset.symbol !== symbol) heading.textContent = symbol;
    }
    this.#paintAge();
    this.#paintTotal();
  }

  /** @param {"last" | "bid" | "ask"} name @param {number | null} number */
  #write(name, number) {
    const place = this.#fact(name);
    if (!place) return;
    place.dataset.value = number === null ? "" : format.plain(number);
    const text = format.price(number);
    if (place.textContent !== text) place.textContent = text;
  }

  #paintAge() {
    const place = this.#fact("age");
    if (!place || !store.rows.size) return;
    const quote = store.rows.get(this.#value("symbol"));
    const lost = store.link.state !== "open" || store.feed?.state === "offline";
    const isKnown = quote && !lost && quote.source <= LIVE;
    const seconds = quote ? Math.max(0, (Date.now() + store.offset - quote.seen) / 1000) : 0;
    place.textContent = isKnown ? format.age(Math.floor(seconds)) : "not known";
  }

  #paintTotal() {
    const place = this.querySelector("[data-total]");
    const side = this.#value("side") === "sell" ? "bid" : "ask";
    const market = this.#fact(side)?.dataset.value ?? "";
    const own = this.#control("price");
    const sum = total(this.#value("amount"), own && !own.disabled ? own.value : market);
    if (place) place.textContent = sum === null ? "–" : `≈ ${format.amount(sum)}`;
  }

  /** @param {string} name @returns {HTMLInputElement | HTMLSelectElement | null} */
  #control(name) {
    return this.querySelector(`:is(input, select)[name="${name}"]`);
  }

  /** @param {string} name */
  #value(name) {
    const checked = this.querySelector(`input[name="${name}"]:checked`);
    const control = checked instanceof HTMLInputElement ? checked : this.#control(name);
    return control?.value.trim() ?? "";
  }

  /** @param {string} name @returns {HTMLElement | null} */
  #fact(name) {
    return this.querySelector(`[data-quote="${name}"]`);
  }
}
