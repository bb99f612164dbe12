/** What this browser remembers. Storage may be forbidden or full: then nothing is remembered. */

/** @param {string} key */
export function recall(key) {
  try {
    return localStorage.getItem(`bfx.${key}`);
  } catch {
    return null;
  }
}

/** @param {string} key @param {string} value */
export function remember(key, value) {
  try {
    localStorage.setItem(`bfx.${key}`, value);
  } catch {
    // the choice still holds for this page
  }
}

/** @returns {Set<string>} */
export function favourites() {
  try {
    const saved = JSON.parse(recall("favourites") ?? "[]");
    return new Set(Array.isArray(saved) ? saved.filter((each) => typeof each === "string") : []);
  } catch {
    return new Set();
  }
}

/** @param {Set<string>} symbols */
export function rememberFavourites(symbols) {
  remember("favourites", JSON.stringify([...symbols]));
}
