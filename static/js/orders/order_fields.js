/** Which fields an order type has, pure. `market/bitfinex/orders.py` checks by the same table. */

/** @type {Map<string, string[]>} */
const PRICES = new Map([
  ["MARKET", []],
  ["LIMIT", ["price"]],
  ["STOP", ["price"]],
  ["STOP LIMIT", ["price", "price_aux_limit"]],
  ["TRAILING STOP", ["price_trailing"]],
  ["FOK", ["price"]],
  ["IOC", ["price"]],
]);
const SPOT = "EXCHANGE ";
const DERIVATIVE = /^t[A-Z0-9]+F0:[A-Z0-9]+F0$/;

export const OPTIONAL = [
  "price",
  "price_trailing",
  "price_aux_limit",
  "post_only",
  "oco",
  "price_oco_stop",
  "reduce_only",
  "close",
  "leverage",
];

/**
 * @param {string} type @param {string} symbol @param {boolean} oco
 * @returns {Set<string>} those of `OPTIONAL` that the order has
 */
export function fieldsOf(type, symbol, oco) {
  const basic = type.startsWith(SPOT) ? type.slice(SPOT.length) : type;
  const fields = new Set(PRICES.get(basic) ?? []);
  if (basic === "LIMIT") {
    for (const name of ["post_only", "oco"]) fields.add(name);
    if (oco) fields.add("price_oco_stop");
  }
  if (basic === type) {
    for (const name of ["reduce_only", "close"]) fields.add(name);
    if (DERIVATIVE.test(symbol)) fields.add("leverage");
  }
  return fields;
}

/** What the amount comes to, for orientation; null where that is not known.
 * @param {string} amount @param {string} price */
export function total(amount, price) {
  const found = Number(amount) * Number(price);
  return Number.isFinite(found) && found > 0 ? found : null;
}
