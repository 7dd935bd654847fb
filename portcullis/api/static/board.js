// Live without reload: the page is asked for again and only what changed is replaced.
"use strict";

const POLL_MS = 2000;
const STALE_MS = 6000;
const poll = document.body.dataset.poll;
let answered = performance.now();
let stamp = "";

function span(seconds) {
  const s = Math.max(0, Math.round(seconds));
  if (s < 60) return `${s} s`;
  if (s < 3600) return `${Math.floor(s / 60)} min ${String(s % 60).padStart(2, "0")} s`;
  if (s < 172800) return `${Math.floor(s / 3600)} h ${String(Math.floor((s % 3600) / 60)).padStart(2, "0")} min`;
  return `${Math.floor(s / 86400)} d`;
}

function tick() {
  const now = Date.now();
  document.getElementById("clock-utc").textContent = new Date(now).toISOString().slice(11, 19) + " UTC";
  document.getElementById("clock-local").textContent = new Date(now).toLocaleTimeString() + " here";
  for (const each of document.querySelectorAll("time[data-until]")) {
    const left = Number(each.dataset.until) / 1000 - now;
    const words = each.dataset.ends ? ["ends in ", "is ending"] : ["", "over"];
    each.textContent = left > 0 ? words[0] + span(left / 1000) : words[1];
    each.classList.toggle("over", left <= 0);
  }
  for (const each of document.querySelectorAll("time[data-at]")) {
    each.textContent = span((now - Number(each.dataset.at) / 1000) / 1000) + " ago";
    each.title = new Date(Number(each.dataset.at) / 1000).toISOString();
  }
  const silent = performance.now() - answered;
  const stale = Boolean(poll) && silent > STALE_MS;
  document.getElementById("stale").hidden = !stale;
  document.getElementById("stale-for").textContent = span(silent / 1000);
  document.body.classList.toggle("stale", stale);
  const state = document.getElementById("banner")?.dataset.title;
  if (state) document.title = `${stale ? "? no answer" : state} · Portcullis`;
}

// How what has the focus is found again in the part that takes its place.
function nameOf(element) {
  if (element.id) return `#${CSS.escape(element.id)}`;
  if (element.dataset.ack) return `[data-ack="${CSS.escape(element.dataset.ack)}"]`;
  if (element.tagName === "SUMMARY") return `#${CSS.escape(element.parentElement.id)} > summary`;
  const section = element.closest("section[id]");
  const link = element.getAttribute("href");
  return section && link ? `#${CSS.escape(section.id)} a[href="${CSS.escape(link)}"]` : "";
}

function replace(html) {
  const fresh = new DOMParser().parseFromString(html, "text/html");
  for (const part of fresh.querySelectorAll("main section[id], section[id]")) {
    const old = document.getElementById(part.id);
    if (!old || old.dataset.raw === part.outerHTML) continue;
    const raw = part.outerHTML;
    const open = new Set([...old.querySelectorAll("details[open]")].map((d) => d.id));
    for (const details of part.querySelectorAll("details")) details.open = open.has(details.id);
    const focused = old.contains(document.activeElement) ? nameOf(document.activeElement) : "";
    old.replaceWith(part);
    part.dataset.raw = raw;
    if (focused) document.querySelector(focused)?.focus({ preventScroll: true });
  }
}

async function look() {
  try {
    const reply = await fetch(poll, {
      headers: stamp ? { "If-None-Match": stamp } : {},
      cache: "no-store",
      signal: AbortSignal.timeout(5000),
    });
    if (reply.status === 200) {
      stamp = reply.headers.get("ETag") || "";
      replace(await reply.text());
    }
    if (reply.status === 200 || reply.status === 304) answered = performance.now();
  } catch {
    // The page says so itself once it has lasted.
  }
  tick();
}

async function acknowledge(button) {
  button.disabled = true;
  try {
    const reply = await fetch(`/api/v1/alerts/${encodeURIComponent(button.dataset.ack)}/ack`, {
      method: "POST",
      headers: { "Content-Type": "application/json", "X-CSRF-Token": document.body.dataset.word },
      body: JSON.stringify({ reason: "seen on the dashboard" }),
    });
    button.textContent = reply.ok ? "Acknowledged" : `Refused (${reply.status})`;
    stamp = "";
    await look();
  } catch {
    button.textContent = "No answer";
    button.disabled = false;
  }
}

document.addEventListener("click", (event) => {
  const button = event.target.closest("[data-ack]");
  if (button) acknowledge(button);
});

tick();
setInterval(tick, 1000);
if (poll) setInterval(look, POLL_MS);
