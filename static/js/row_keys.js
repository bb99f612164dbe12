/**
 * The grid by keyboard. One row at a time is a stop of the Tab key; arrows move it.
 *
 * @param {HTMLElement} root
 * @param {{search: HTMLInputElement, cleared: () => void, rows: () => Element[], favourite: (row: Element) => void}} on
 */
export function rowKeys(root, { search, cleared, rows, favourite }) {
  document.addEventListener("keydown", (event) => {
    const plain = !event.ctrlKey && !event.metaKey && !event.altKey;
    if (!plain || event.key !== "/" || isTyping(event.target)) return;
    event.preventDefault();
    search.focus();
    search.select();
  });
  search.addEventListener("keydown", (event) => {
    if (event.key === "Escape") {
      event.preventDefault();
      if (!search.value) search.blur();
      search.value = "";
      cleared();
    } else if (event.key === "ArrowDown") {
      event.preventDefault();
      focusRow(rows()[0]);
    }
  });
  root.addEventListener("keydown", (event) => {
    const row = event.target instanceof Element ? event.target.closest("tbody tr") : null;
    if (!row || event.ctrlKey || event.metaKey || event.altKey) return;
    const goal = destination(event.key, row, rows());
    if (goal) focusRow(goal);
    else if (event.key === "f") favourite(row);
    else if (event.key === "Enter" && event.target === row) click(row, ".menu a");
    else return;
    event.preventDefault();
  });
  root.addEventListener("focusin", ({ target }) => {
    const row = target instanceof Element && target.closest("tbody tr");
    if (row) makeStop(root, row);
  });
}

/** Let the Tab key reach the grid, whatever rows are shown. @param {HTMLElement} root @param {Element[]} rows */
export function keepStop(root, rows) {
  const stop = root.querySelector('tr[tabindex="0"]');
  const first = rows[0];
  if (first && (!stop || !rows.includes(stop))) makeStop(root, first);
}

/** @param {string} key @param {Element} row @param {Element[]} rows */
function destination(key, row, rows) {
  const at = rows.indexOf(row);
  if (key === "ArrowDown" || key === "j") return rows[at + 1] ?? row;
  if (key === "ArrowUp" || key === "k") return rows[Math.max(0, at - 1)];
  if (key === "Home") return rows[0];
  if (key === "End") return rows.at(-1);
  return undefined;
}

/** @param {Element | undefined} row */
function focusRow(row) {
  if (!(row instanceof HTMLElement)) return;
  row.tabIndex = 0;
  row.focus();
}

/** @param {HTMLElement} root @param {Element} row */
function makeStop(root, row) {
  for (const former of root.querySelectorAll('tr[tabindex="0"]')) stops(former, -1);
  stops(row, 0);
}

/** @param {Element} row @param {number} index */
function stops(row, index) {
  for (const stop of [row, ...row.querySelectorAll("button, a")]) {
    /** @type {HTMLElement} */ (stop).tabIndex = index;
  }
}

/** @param {Element} row @param {string} selector */
function click(row, selector) {
  /** @type {HTMLElement | null} */ (row.querySelector(selector))?.click();
}

/** @param {EventTarget | null} target */
function isTyping(target) {
  return (
    target instanceof HTMLElement && target.matches("input:not([type=radio]), textarea, select")
  );
}
