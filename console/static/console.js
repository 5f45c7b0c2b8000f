// Comfort only: every page works without it. Moves through the list by keyboard and keeps its place; renews what is live.
"use strict";

const list = document.querySelector(".mail-list");

function open(line) {
  if (!line) return;
  sessionStorage.setItem("lapwing.focus", "list");
  line.click();
}

function move(step) {
  const lines = [...list.querySelectorAll("a.line")];
  const here = lines.findIndex((line) => line.getAttribute("aria-current"));
  open(lines[here + step]);
}

if (list) {
  const current = list.querySelector("[aria-current]");
  list.scrollTop = Number(sessionStorage.getItem("lapwing.scroll") || 0);
  if (current) current.scrollIntoView({ block: "nearest" });
  if (current && sessionStorage.getItem("lapwing.focus")) current.focus({ preventScroll: true });
  sessionStorage.removeItem("lapwing.focus");
  addEventListener("pagehide", () => sessionStorage.setItem("lapwing.scroll", String(list.scrollTop)));
  addEventListener("keydown", (event) => {
    if (event.target.matches("input, select, textarea") || event.ctrlKey || event.metaKey || event.altKey) return;
    if (event.key === "j" || (event.key === "ArrowDown" && list.contains(event.target))) move(1);
    else if (event.key === "k" || (event.key === "ArrowUp" && list.contains(event.target))) move(-1);
    else if (event.key === "/") document.getElementById("customer").focus();
    else return;
    event.preventDefault();
  });
}

const live = document.querySelector("[data-renew]");

async function renew() {
  const chosen = document.getSelection();
  if (document.hidden || (!chosen.isCollapsed && live.contains(chosen.anchorNode))) return; // nobody looks, or somebody copies
  const answer = await fetch(live.dataset.renew).catch(() => null);
  if (answer && answer.ok) live.innerHTML = await answer.text();
}

if (live) setInterval(renew, 3000);
