import { ReviewCountdown } from "./review_countdown.js";

customElements.define("review-countdown", ReviewCountdown);
