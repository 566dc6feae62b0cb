// The live page of the emulator: inserts the pieces of HTML that the server renders.
//
// All HTML comes from the emulator's own templates, which escape names, prompts and messages. This script creates no
// HTML; it writes its own messages as text.

const ROWS = 100; // requests on one page; the server uses the same number
const REFRESH_MS = 250; // pause between two updates of an expanded room
const RETRY_MS = 2000; // pause before the script replaces a connection that the browser has given up

const $ = (id) => document.getElementById(id);
const body = document.body;
const base = Number(body.dataset.base);
const windows = [...$("window").options].map((option) => Number(option.value)).filter(Boolean);

let cursor = body.dataset.cursor;
let ahead = Number(body.dataset.now) - Date.now(); // milliseconds by which the emulator's clock is ahead of the browser's
let missed = 0; // requests that arrived while an older page is open
let events = null;

const now = () => Date.now() + ahead;

// --- pieces ---------------------------------------------------------------------------------------------------------

function piece(html) {
  const template = document.createElement("template");
  template.innerHTML = html;
  return template.content;
}

// Replaces the content of an element and keeps the focus.
function fill(element, ...content) {
  const focused = element.contains(document.activeElement) ? document.activeElement.dataset.focus : null;
  element.replaceChildren(...content);
  if (focused) element.querySelector(`[data-focus="${CSS.escape(focused)}"]`)?.focus({ preventScroll: true });
}

async function fetchText(path) {
  const answer = await fetch(path, { cache: "no-store" });
  return answer.ok ? await answer.text() : null;
}

// --- time -----------------------------------------------------------------------------------------------------------

function duration(seconds) {
  if (seconds < 10) return `${Math.max(seconds, 0).toFixed(seconds < 1 ? 2 : 1)} s`;
  const sizes = [["d", 86400], ["h", 3600], ["min", 60], ["s", 1]];
  let whole = Math.floor(seconds);
  const place = sizes.findIndex(([, size]) => whole >= size);
  const parts = [];
  for (const [unit, size] of sizes.slice(place, place + 2)) {
    const count = Math.floor(whole / size);
    whole -= count * size;
    if (count || !parts.length) parts.push(`${count} ${unit}`);
  }
  return parts.join(" ");
}

function ago(seconds) {
  for (const [unit, size] of [["d", 86400], ["h", 3600], ["min", 60]]) {
    if (seconds >= size) return `−${Number((seconds / size).toPrecision(4))} ${unit}`;
  }
  return `−${Number(seconds.toPrecision(4))} s`;
}

function windowSeconds() {
  const selected = Number($("window").value);
  if (selected) return selected;
  let first = now();
  for (const room of $("rooms").children) {
    if (room.dataset.first && !room.hidden) first = Math.min(first, Number(room.dataset.first));
  }
  return windows.find((seconds) => seconds * 1000 >= now() - first) ?? windows.at(-1);
}

let drawn = 0; // seconds that the time lines cover

const viewBox = () => `${((now() - base) / 1000 - drawn).toFixed(3)} 0 ${drawn} 24`;

// Redraws everything that depends on the time. It is not called for every update, because drawing all lines takes longer
// than inserting one row.
function redraw() {
  const seconds = windowSeconds();
  const changed = seconds !== drawn;
  drawn = seconds;
  const at = now();
  const box = viewBox();
  for (const line of $("rooms").getElementsByClassName("line")) line.setAttribute("viewBox", box);
  if (changed) {
    [...$("axis").children].forEach((mark, place, { length }) => {
      mark.textContent = place === length - 1 ? "now" : ago((seconds * (length - 1 - place)) / (length - 1));
    });
  }
  for (const time of document.querySelectorAll("time[data-since]")) {
    time.textContent = duration((at - Number(time.dataset.since)) / 1000);
  }
  for (const time of document.querySelectorAll("time[data-end]")) {
    const left = (Number(time.dataset.end) - at) / 1000;
    time.textContent = left > 0 ? `ends in ${duration(left)}` : `over for ${duration(-left)}`;
    time.classList.toggle("over", left <= 0);
  }
}

// --- rooms ----------------------------------------------------------------------------------------------------------

function putRoom({ id, html }) {
  const old = $(`room-${id}`);
  if (html === null) {
    old?.remove();
    return;
  }
  const room = piece(html).firstElementChild;
  room.querySelector(".line").setAttribute("viewBox", viewBox());
  if (old) {
    const open = !old.querySelector(".panel").hidden;
    room.querySelector(".disclose").setAttribute("aria-expanded", String(open));
    for (const name of ["first", "order", "name"]) {
      if (room.dataset[name] === undefined) delete old.dataset[name];
      else old.dataset[name] = room.dataset[name];
    }
    old.className = room.className;
    fill(old.querySelector(".row"), ...room.querySelector(".row").childNodes);
    if (open) refresh(old);
    return;
  }
  const next = [...$("rooms").children].find((other) => other.dataset.order > room.dataset.order);
  $("rooms").insertBefore(room, next ?? null);
  applyFilter(room);
}

const refreshing = new Map();

function refresh(room) {
  if (refreshing.has(room.id)) return;
  refreshing.set(room.id, setTimeout(() => {
    refreshing.delete(room.id);
    if (!room.querySelector(".panel").hidden) showAgents(room);
  }, REFRESH_MS));
}

async function showAgents(room) {
  const html = await fetchText(`/-/page/rooms/${room.dataset.id}`);
  const panel = room.querySelector(".panel");
  const content = piece(html ?? "");
  const states = new Map([...panel.querySelectorAll("details")].map((one) => [one.dataset.task, one.open]));
  for (const details of content.querySelectorAll("details")) {
    details.open = states.get(details.dataset.task) ?? details.open;
  }
  fill(panel, content);
}

function applyFilter(room) {
  room.hidden = !room.dataset.name.toLowerCase().includes($("find").value.trim().toLowerCase());
}

function updateNotes() {
  const rooms = [...$("rooms").children];
  $("no-rooms").hidden = rooms.length > 0;
  $("none-found").hidden = !rooms.length || rooms.some((room) => !room.hidden);
}

// --- requests -------------------------------------------------------------------------------------------------------

const showsOlder = () => $("requests").querySelector("table").dataset.before !== undefined;

function putRequests(requests, newest) {
  const rows = $("calls");
  for (const { number, html } of requests) {
    const row = piece(html).firstElementChild;
    const old = $(`call-${number}`);
    if (old) {
      if (old.nextElementSibling?.classList.contains("more")) {
        row.querySelector(".disclose").setAttribute("aria-expanded", "true");
      }
      old.className = row.className;
      fill(old, ...row.childNodes);
    } else if (showsOlder()) {
      missed += 1;
    } else if (number > Number(rows.firstElementChild?.dataset.number ?? 0)) {
      rows.prepend(row);
    }
  }
  if (showsOlder()) {
    $("missed").textContent = missed ? `(${missed} new)` : "";
    return;
  }
  const calls = rows.getElementsByClassName("call");
  while (calls.length > ROWS) {
    if (rows.lastElementChild.contains(document.activeElement)) rows.firstElementChild.querySelector("button").focus();
    rows.lastElementChild.remove();
  }
  if (!calls.length) return;
  $("no-requests")?.remove();
  const last = calls[calls.length - 1].dataset.number;
  $("range").textContent = `${last}–${calls[0].dataset.number} of ${newest}`;
  const older = $("requests").querySelector("[data-act=older]");
  older.hidden = Number(last) <= 1;
  older.dataset.before = last;
  older.href = `/?before=${last}#requests-title`;
}

async function showRequests(before) {
  const html = await fetchText(`/-/page/requests${before ? `?before=${before}` : ""}`);
  if (html === null) return;
  missed = 0;
  fill($("requests"), piece(html));
  history.replaceState(null, "", before ? `/?before=${before}` : "/");
  $("requests-title").scrollIntoView({ block: "nearest" });
}

async function showMessage(button) {
  const row = button.closest("tr");
  const more = row.nextElementSibling;
  if (more?.classList.contains("more")) {
    more.remove();
    button.setAttribute("aria-expanded", "false");
    return;
  }
  const html = await fetchText(`/-/page/requests/${row.dataset.number}`);
  if (html === null || row.nextElementSibling?.classList.contains("more")) return;
  const cell = document.createElement("td");
  cell.colSpan = row.children.length;
  cell.append(piece(html));
  const details = document.createElement("tr");
  details.className = "more";
  details.append(cell);
  row.after(details);
  row.querySelector(".disclose").setAttribute("aria-expanded", "true"); // an update may have replaced the button
}

// --- events ---------------------------------------------------------------------------------------------------------

function update(content) {
  ahead = content.now - Date.now();
  for (const room of content.rooms) putRoom(room);
  if (content.requests.length) putRequests(content.requests, content.newest);
  for (const name of ["faults", "summary"]) {
    if (content[name] !== undefined) fill($(name), piece(content[name]));
  }
  if (content.rooms.length) updateNotes();
}

// Loads the whole page again: too much has changed, or another emulator is running.
async function reload() {
  const html = await fetchText(location.pathname + location.search);
  if (html === null) return;
  const page = new DOMParser().parseFromString(html, "text/html");
  if (page.body.dataset.base !== body.dataset.base) {
    location.reload();
    return;
  }
  cursor = page.body.dataset.cursor;
  ahead = Number(page.body.dataset.now) - Date.now();
  for (const id of ["summary", "rooms", "requests", "faults"]) fill($(id), ...page.getElementById(id).childNodes);
  for (const room of $("rooms").children) applyFilter(room);
  updateNotes();
  redraw();
}

function showStatus(text, isLive) {
  if ($("live").textContent !== text) $("live").textContent = text;
  $("live").classList.toggle("on", isLive);
}

function listen() {
  events?.close();
  events = new EventSource(`/-/page/events?since=${encodeURIComponent(cursor)}`);
  events.addEventListener("open", () => showStatus("live", true));
  events.addEventListener("update", (event) => {
    cursor = event.lastEventId;
    update(JSON.parse(event.data));
  });
  events.addEventListener("reload", (event) => {
    cursor = event.lastEventId;
    reload();
  });
  events.addEventListener("error", () => {
    showStatus("reconnecting …", false);
    // The browser reconnects by itself, unless the response was not an event stream.
    if (events.readyState === EventSource.CLOSED) setTimeout(listen, RETRY_MS);
  });
}

// A browser allows few connections to one server, so a hidden tab closes its own.
document.addEventListener("visibilitychange", () => {
  if (document.hidden) {
    events?.close();
    events = null;
    showStatus("paused", false);
  } else if (!events) {
    listen();
  }
});

// --- user actions ----------------------------------------------------------------------------------------------------

function report(text) {
  $("said").textContent = text;
  clearTimeout(report.timer);
  report.timer = setTimeout(() => { $("said").textContent = ""; }, 6000);
}

// Sends a request to the admin API. Returns the error message, or null if it succeeded.
async function send(method, path, content) {
  try {
    const options = { method, cache: "no-store" };
    if (content !== undefined) options.body = JSON.stringify(content);
    const answer = await fetch(`/-${path}`, options);
    if (answer.ok) return null;
    return (await answer.json()).error ?? `HTTP ${answer.status}`;
  } catch {
    return "The emulator does not respond. Check that it is still running.";
  }
}

async function perform(method, path, text) {
  report((await send(method, path)) ?? text);
}

let answerQuestion = null; // resolves the open question

function askToConfirm(title, text, yes) {
  const dialog = $("ask");
  answerQuestion?.(false);
  $("ask-title").textContent = title;
  $("ask-text").textContent = text;
  $("ask-yes").textContent = yes;
  dialog.returnValue = "no";
  dialog.showModal();
  return new Promise((resolve) => {
    answerQuestion = resolve;
  });
}

$("ask").addEventListener("close", ({ target: dialog }) => {
  if (dialog.open) return; // the event of an earlier question, which arrives after the next one was opened
  answerQuestion?.(dialog.returnValue === "yes");
  answerQuestion = null;
});

const actions = {
  async agents(button, room) {
    const panel = room.querySelector(".panel");
    panel.hidden = !panel.hidden;
    button.setAttribute("aria-expanded", String(!panel.hidden));
    if (panel.hidden) panel.replaceChildren();
    else await showAgents(room);
  },

  async "end-task"(button, room) {
    const { cid, task } = button.dataset;
    const text = `Its task ${task} ends without a request of the client, as if the agent had crashed.`;
    if (!(await askToConfirm(`End the agent in ${room.dataset.name}?`, text, "End agent"))) return;
    await perform("DELETE", `/tasks/${cid}/${encodeURIComponent(task)}`, `Ended the agent in ${room.dataset.name}.`);
  },

  async "end-room"(button, room) {
    const name = room.dataset.name;
    if (!(await askToConfirm(`End the room ${name}?`, "It ends as if everyone had left.", "End room"))) return;
    const account = encodeURIComponent(button.dataset.account);
    await perform("DELETE", `/rooms/${encodeURIComponent(name)}?appKey=${account}`, `Ended the room ${name}.`);
  },

  async "fault-room"(button, room) {
    $("fault").elements.cname.value = room.dataset.name;
    $("fault").elements.verb.focus();
    $("fault").scrollIntoView({ block: "nearest" });
  },

  async "remove-fault"(button) {
    await perform("DELETE", `/faults/${button.dataset.fault}`, `Removed fault ${button.dataset.fault}.`);
  },

  async release(button) {
    await perform("POST", `/faults/${button.dataset.fault}/release`, `Released the requests that fault ${button.dataset.fault} held.`);
  },

  async "clear-faults"() {
    await perform("DELETE", "/faults", "Removed all faults.");
  },

  message: showMessage,

  async older(link) {
    await showRequests(link.dataset.before);
  },

  async newest() {
    await showRequests(null);
  },
};

document.addEventListener("click", (event) => {
  const button = event.target.closest("[data-act]");
  if (!button || event.ctrlKey || event.metaKey || event.shiftKey) return;
  event.preventDefault();
  actions[button.dataset.act](button, button.closest(".room"));
});

// --- the form for a fault -------------------------------------------------------------------------------------------

const form = $("fault");
const numbers = ["status", "code", "before", "after", "times", "skip"];

function showFields() {
  const kind = form.elements.kind.value;
  for (const label of form.querySelectorAll("[data-kinds]")) {
    const applies = label.dataset.kinds.split(" ").includes(kind);
    label.hidden = !applies;
    label.querySelector("input, select").disabled = !applies;
  }
}

function readFault() {
  const fault = {};
  for (const field of form.elements) {
    if (!field.name || field.disabled) continue;
    if (field.type === "checkbox") fault[field.name] = field.checked;
    else if (numbers.includes(field.name)) fault[field.name] = field.value === "" ? undefined : Number(field.value);
    else fault[field.name] = field.value || undefined;
  }
  if (fault.times === undefined) fault.times = null; // until it is removed
  return fault;
}

form.addEventListener("change", showFields);
form.addEventListener("submit", async (event) => {
  event.preventDefault();
  const problem = await send("POST", "/faults", readFault());
  $("fault-wrong").textContent = problem ?? "";
  if (problem === null) report("Set the fault.");
});

$("find").addEventListener("input", () => {
  for (const room of $("rooms").children) applyFilter(room);
  updateNotes();
  redraw();
});
$("window").addEventListener("change", redraw);

showFields();
updateNotes();
redraw();
setInterval(() => { if (!document.hidden) redraw(); }, 1000);
listen();
