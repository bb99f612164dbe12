import { goLive } from "../live.js";
import { OrderTicket } from "./order_ticket.js";

customElements.define("order-ticket", OrderTicket);
goLive();
