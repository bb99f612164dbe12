const REFRESH_MS = 500;

/**
 * One row in full, with the public REST call behind it ready to copy. Rows link to that call as a
 * page of its own, which is what opens with a modifier key or without scripts. Where the board is
 * too narrow for the link, the row itself opens the dialog.
 */
export class RowDialog extends HTMLElement {
  /** @type {HTMLElement | null} */
  #row = null;
  #timer = 0;

  connectedCallback() {
    this.dialog = /** @type {HTMLDialogElement} */ (this.querySelector("dialog"));
    this.dialog.addEventListener("close", () => clearInterval(this.#timer));
    this.dialog.addEventListener("click", ({ target }) => {
      if (target === this.dialog) this.dialog?.close();
    });
    this.querySelector("[data-copy]")?.addEventListener("click", () => this.#copy());
    document.addEventListener("click", (event) => this.#clicked(event));
  }

  /** @param {MouseEvent} event */
  #clicked(event) {
    if (!(event.target instanceof Element) || event.ctrlKey || event.metaKey || event.shiftKey)
      return;
    const row = event.target.closest("ticker-table tbody tr");
    const link = row?.querySelector(".menu a");
    if (!(row instanceof HTMLElement) || !(link instanceof HTMLAnchorElement)) return;
    const narrow = link.offsetParent === null && !event.target.closest("button");
    if (event.target.closest("a.trade")) return;
    if (!narrow && !event.target.closest(".menu a")) return;
    event.preventDefault();
    this.#show(row, link.href);
  }

  /** @param {HTMLElement} row @param {string} address */
  async #show(row, address) {
    this.#row = row;
    const names = [".pair", ".name"].map((part) => row.querySelector(part)?.textContent);
    this.#write("[data-heading]", names.join(" "));
    this.#write("[data-copied]", "");
    this.#write("[data-command]", "…");
    this.#offerTrade(row);
    this.#fill();
    this.#timer = window.setInterval(() => this.#fill(), REFRESH_MS);
    this.dialog?.showModal();
    const line = await command(address);
    if (this.#row === row) this.#write("[data-command]", line);
  }

  /** What the row's cells say, those too that the board has no room for. */
  #fill() {
    const list = this.querySelector("[data-facts]");
    const heads = this.#row?.closest("table")?.querySelectorAll("th[data-column]") ?? [];
    /** @type {[string, string][]} */
    const facts = [];
    for (const head of heads) {
      const field = /** @type {HTMLElement} */ (head).dataset.column;
      const cell = this.#row?.querySelector(`[data-field="${field}"]`);
      if (cell) facts.push([head.textContent.trim(), cell.textContent.trim()]);
    }
    if (list) replace(list, facts);
  }

  /** @param {HTMLElement} row */
  #offerTrade(row) {
    const there = row.querySelector("a.trade");
    const here = this.querySelector("[data-trade]");
    if (!(here instanceof HTMLAnchorElement)) return;
    here.hidden = !(there instanceof HTMLAnchorElement);
    if (there instanceof HTMLAnchorElement) here.href = there.href;
  }

  async #copy() {
    const line = this.querySelector("[data-command]");
    try {
      await navigator.clipboard.writeText(line?.textContent ?? "");
      this.#write("[data-copied]", "Copied");
    } catch {
      if (line) getSelection()?.selectAllChildren(line);
      this.#write("[data-copied]", "Selected: copy it with Ctrl+C");
    }
  }

  /** @param {string} selector @param {string} text */
  #write(selector, text) {
    const element = this.querySelector(selector);
    if (element) element.textContent = text;
  }
}

/** @param {string} address */
async function command(address) {
  try {
    const answer = await fetch(address, { headers: { Accept: "text/plain" } });
    if (!answer.ok) throw new Error(String(answer.status));
    return (await answer.text()).trim();
  } catch {
    return "No connection to this dashboard. Try again in a moment.";
  }
}

/** @param {Element} list @param {[string, string][]} facts */
function replace(list, facts) {
  const former = list.querySelectorAll("dd");
  if (former.length === facts.length) {
    facts.forEach(([, text], at) => {
      const shown = former[at];
      if (shown && shown.textContent !== text) shown.textContent = text;
    });
    return;
  }
  list.replaceChildren(
    ...facts.map(([title, text]) => {
      const pair = document.createElement("div");
      pair.append(document.createElement("dt"), document.createElement("dd"));
      pair.children[0]?.append(title);
      pair.children[1]?.append(text);
      return pair;
    }),
  );
}
