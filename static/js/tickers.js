import { RowDialog } from "./elements/row_dialog.js";
import { StatusBar } from "./elements/status_bar.js";
import { TickerTable } from "./elements/ticker_table.js";
import { goLive } from "./live.js";

customElements.define("status-bar", StatusBar);
customElements.define("ticker-table", TickerTable);
customElements.define("row-dialog", RowDialog);
goLive();
