// Keeps the page up to date. What it shows was on the page before this ran.

import "./calls.js";
import "./search.js";
import { showHistory } from "./history.js";
import { at, fetched } from "./page.js";
import { showStatus } from "./status.js";

const STATUS_EVERY = 5_000;
const HISTORY_EVERY = 15_000;

document.documentElement.classList.add("js");

async function updateStatus() {
  showStatus(await fetched("/status"));
}

async function updateHistory() {
  const asked = new URLSearchParams({ hours: at("plot-hours").value });
  if (at("plot-route").value) asked.set("route", at("plot-route").value);
  showHistory(await fetched(`/history?${asked}`));
}

// Again and again, but not while nobody sees it. Asked for while it is under way, it runs once more afterwards.
function repeated(update, every) {
  let running = false;
  let wanted = false;
  const run = async () => {
    wanted = true;
    if (running || document.visibilityState === "hidden") return;
    running = true;
    while (wanted) {
      wanted = false;
      try {
        await update();
      } catch {
        at("ready").textContent = "not reachable";
        at("ready").className = "state bad";
      }
    }
    running = false;
  };
  setInterval(run, every);
  document.addEventListener("visibilitychange", run);
  run();
  return run;
}

const status = repeated(updateStatus, STATUS_EVERY);
const history = repeated(updateHistory, HISTORY_EVERY);
at("choices").addEventListener("change", history);
at("choices").addEventListener("submit", (event) => event.preventDefault());
let width = innerWidth;
addEventListener("resize", () => {
  if (innerWidth === width) return;
  width = innerWidth;
  history();
  status();
});
