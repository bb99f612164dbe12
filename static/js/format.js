/**
 * Numbers as people read them, pure. `market/display.py` says the same on the server, and
 * `tests/js/format_cases.json` holds both to the same answers.
 *
 * Prices are shown as received; only percentages, volumes and sums in USD are rounded.
 */

export const NOTHING = "–";
export const MINUS = "−";

/** Plain decimal text: no exponent, no separator. @param {number} number */
export function plain(number) {
  const text = String(number);
  const [, sign = "", whole = "", rest = "", exponent] =
    /^(-?)(\d+)(?:\.(\d+))?(?:e([+-]\d+))?$/.exec(text) ?? [];
  if (!exponent) return text;
  const shift = Number(exponent);
  const digits = whole + rest;
  if (shift < 0) return `${sign}0.${"0".repeat(-shift - whole.length)}${digits}`;
  return sign + digits + "0".repeat(shift - rest.length);
}

/**
 * Whether there is a number to show: what is too large for a float counts as not sent.
 *
 * @param {number | null | undefined} number @returns {number is number}
 */
function known(number) {
  return Number.isFinite(number);
}

/** Plain text for `data-value`. @param {number | null | undefined} number */
export function value(number) {
  return known(number) ? plain(number) : "";
}

/** The same digits with thousands separators. @param {string} text */
export function grouped(text) {
  const dot = text.indexOf(".");
  const whole = dot < 0 ? text : text.slice(0, dot);
  const rest = dot < 0 ? "" : text.slice(dot);
  return whole.replace(/\B(?=(\d{3})+$)/g, ",") + rest;
}

/** @param {number | null | undefined} number */
export function price(number) {
  return known(number) ? grouped(plain(number)).replace("-", MINUS) : NOTHING;
}

/** @param {number | null | undefined} number */
export function sign(number) {
  return !number ? "" : number > 0 ? "+" : MINUS;
}

/** @param {number | null | undefined} number */
export function signed(number) {
  return known(number) ? sign(number) + grouped(plain(Math.abs(number))) : NOTHING;
}

/**
 * Decimal text of a number that is not negative, rounded half up on its decimal digits, so that
 * no binary fraction shows. `shift` moves the point to the right first.
 *
 * @param {number} number @param {number} digits @param {number} [shift]
 */
export function rounded(number, digits, shift = 0) {
  const [whole = "0", rest = ""] = plain(number).split(".");
  const keep = shift + digits;
  const kept = whole + rest.slice(0, keep).padEnd(keep, "0");
  const up = (rest[keep] ?? "0") >= "5" ? 1n : 0n;
  const text = String(BigInt(kept) + up).padStart(digits + 1, "0");
  return digits ? `${text.slice(0, -digits)}.${text.slice(-digits)}` : text;
}

/** A fraction as percent with its sign. @param {number | null | undefined} fraction */
export function percent(fraction) {
  if (!known(fraction)) return NOTHING;
  return `${sign(fraction)}${grouped(rounded(Math.abs(fraction), 2, 2))}%`;
}

/** A daily funding rate as percent. @param {number | null | undefined} daily */
export function rate(daily) {
  if (!known(daily)) return NOTHING;
  return `${daily < 0 ? MINUS : ""}${grouped(rounded(Math.abs(daily), 5, 2))}%`;
}

/** @param {number | null | undefined} daily */
export function signedRate(daily) {
  return known(daily) ? sign(daily) + rate(Math.abs(daily)) : NOTHING;
}

/** A volume, rounded by size. @param {number | null | undefined} number */
export function amount(number) {
  if (!known(number)) return NOTHING;
  if (number < 1) return plain(number);
  if (number >= 1e7) return compact(number);
  return grouped(rounded(number, number >= 1000 ? 0 : 2));
}

/** Three significant digits with K, M or B. @param {number | null | undefined} number */
export function compact(number) {
  if (!known(number)) return NOTHING;
  if (number >= 1e9) return `${threeDigits(number / 1e9)}B`;
  if (number >= 1e6) return `${threeDigits(number / 1e6)}M`;
  if (number >= 1e3) return `${threeDigits(number / 1e3)}K`;
  return threeDigits(number);
}

/** @param {number} number */
function threeDigits(number) {
  return rounded(number, number >= 100 ? 0 : number >= 10 ? 1 : 2);
}

/** @param {number} seconds */
export function age(seconds) {
  if (seconds < 60) return `${Math.max(seconds, 0)}s`;
  if (seconds < 3600) return `${Math.floor(seconds / 60)}m`;
  if (seconds < 86_400) return `${Math.floor(seconds / 3600)}h`;
  return `${Math.floor(seconds / 86_400)}d`;
}

/** @param {number | null | undefined} number */
export function direction(number) {
  return !number ? "flat" : number > 0 ? "up" : "down";
}
