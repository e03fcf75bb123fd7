// The crew's forms without a connection: what is done waits in the telephone, is shown, and is sent when it can be.

import "/static/queue.js";

const queue = globalThis.krajQueue;
const root = document.querySelector("[data-offline]");
const texts = JSON.parse(root.dataset.texts);
const person = Number(root.dataset.person) || null;
const alert = Number(/^\/alerts\/(\d+)$/.exec(location.pathname)?.[1]) || null;
const seenAt = document.documentElement.dataset.seenAt;
const AGAIN_MS = 30_000;
const said = root.querySelector("[data-offline-said]");
let stopped = null;
const underWay = new Set(); // buttons whose press is being worked on; a second press of the same one is the same wish
let turn = Promise.resolve();

start().catch((error) => console.warn("kraj: nothing is kept offline", error)); // private windows may have no database

async function start() {
  await queue.know("language", document.documentElement.lang);
  if (!person) return atTheDoor();
  if ((await queue.known("person")) !== person) {
    await forget();
    await queue.know("person", person);
  }
  if (location.pathname.startsWith("/alerts")) install().catch(() => undefined); // without a connection it is there already
  document.addEventListener("submit", submitted);
  for (const event of ["online", "offline"]) window.addEventListener(event, () => refresh());
  new BroadcastChannel(queue.LOCK).onmessage = ({ data }) => show(data);
  setInterval(() => refresh(), AGAIN_MS);
  await refresh();
}

// Nobody is signed in here: what waits stays, what was seen goes as soon as somebody has signed out.
async function atTheDoor() {
  if (new URLSearchParams(location.search).get("said") === "out") {
    await forget();
    await queue.know("person", null);
  }
  const waiting = (await queue.all()).length;
  if (waiting) say(texts["offline.said.door"].replace("{count}", waiting));
}

async function forget() {
  await queue.purge();
  const worker = await navigator.serviceWorker?.getRegistration("/");
  await (await worker?.pushManager?.getSubscription())?.unsubscribe(); // messages are for who was signed in
}

async function install() {
  if (!("serviceWorker" in navigator)) return;
  navigator.serviceWorker.addEventListener("controllerchange", () => fetch(location.href), { once: true }); // a copy of this page
  await navigator.serviceWorker.register("/sw.js", { scope: "/" });
}

async function refresh() {
  const mine = await queue.of(person);
  if (navigator.onLine && mine.some((action) => !action.trouble)) await show(await queue.sync());
  else await show();
}

function submitted(event) {
  const form = event.target;
  if (form.method !== "post" || event.defaultPrevented) return;
  const action = actionOf(form, event.submitter);
  if (!action && navigator.onLine && !seenAt) return;
  event.preventDefault();
  if (!action) tried(form, event.submitter);
  else if (action.photo?.size > Number(root.dataset.photoMax)) answered("offline.said.large");
  else inTurn(form, event.submitter, action);
}

// One after another, in the order of the presses: what is pressed while another is being sent is kept at once.
function inTurn(form, submitter, action) {
  const pressed = submitter ?? form;
  if (underWay.has(pressed)) return;
  underWay.add(pressed);
  const kept = served(form, action) ? null : queue.add(action);
  kept?.catch(() => undefined); // whose turn it is says so
  turn = turn.then(() => taken(form, submitter, action, kept)).finally(() => underWay.delete(pressed));
}

// A proof by light, and a photo with words to it, are the server's while there is one; without it the repair alone
// waits, and the page says that it stays dark, and the words as a comment of their own.
const lit = (form, action) => action.step === "fixed" && form.elements.light?.checked;
const captioned = (form, action) => (action.photo && form.elements.caption?.value.trim()) || null;

function served(form, action) {
  return captioned(form, action) || lit(form, action);
}

async function taken(form, submitter, action, kept) {
  if (!kept && (await reached())) natively(form, submitter);
  else await act(form, submitter, action, kept);
}

async function reached() {
  if (!navigator.onLine) return false;
  const there = await fetch("/healthz", { signal: AbortSignal.timeout(5000) }).catch(() => null);
  return there?.ok ?? false;
}

// What may not wait goes now or not at all.
async function tried(form, submitter) {
  if (await reached()) natively(form, submitter);
  else answered("offline.said.not_kept");
}

// What this form does, if it is one that may wait; what is not filled in is for the server to refuse, with its page.
function actionOf(form, submitter) {
  const [, number, what] = /^\/alerts\/(\d+)\/(steps|photos)$/.exec(new URL(submitter?.getAttribute("formaction") ?? form.getAttribute("action"), location).pathname) ?? [];
  if (!number) return null;
  const given = new FormData(form, submitter);
  const order = document.querySelector("form[data-state]");
  const common = {
    person,
    alert: Number(number),
    title: document.title.split(" · ")[0],
    label: submitter?.textContent.trim() ?? "",
    version: Number(order?.elements.version.value) || 0,
    state: order?.dataset.state ?? "",
    assignee: order?.dataset.assignee ?? "",
  };
  if (what === "photos") {
    const photo = given.get("photo");
    return photo?.size ? { ...common, step: null, photo, name: photo.name, fields: {} } : null;
  }
  const [step, code] = String(given.get("step") ?? "").split(":");
  const fields = {};
  const take = (name, steps, value = given.get(name)) => {
    if (value && (!steps || steps.includes(step))) fields[name] = String(value).replaceAll("\r", "");
  };
  take("note");
  take("assignee", ["assigned"]);
  take("spare_part", ["fixed", "commented"]);
  take("cause", ["fixed"]);
  take("cause", ["false_alarm"], code);
  if (!step || (step === "commented" && !fields.note && !fields.spare_part) || (step === "assigned" && !fields.assignee)) return null;
  return { ...common, step, fields, detail: describe(form, fields) };
}

function describe(form, fields) {
  const cause = form.elements.cause?.selectedOptions?.[0];
  return [fields.cause && cause?.value === fields.cause && cause.textContent, fields.assignee, fields.spare_part, fields.note]
    .filter(Boolean)
    .join(" · ");
}

async function act(form, submitter, action, kept) {
  try {
    const id = await (kept ?? queue.add(action));
    const words = await keptWords(form, action);
    const dark = lit(form, action);
    const result = navigator.onLine ? await queue.sync(id) : null;
    if (result?.refused) {
      if (words && (await queue.get(words))) await queue.drop(words);
      return natively(form, submitter);
    }
    if (!(await queue.get(id))) {
      if (underWay.size === 1) return done(action, dark); // the last one turns the page
      const order = document.querySelector("form[data-state]");
      if (order) order.elements.version.value = result?.versions[action.alert] ?? order.elements.version.value;
      return;
    }
    emptied(form, action);
    await show(result);
    answered(dark ? "offline.said.kept_dark" : "offline.said.kept"); // once everything stands where it stays
    await later();
  } catch (error) {
    console.warn("kraj: it cannot wait here", error);
    natively(form, submitter);
  }
}

// The words to a photo that waits, before anything is sent: the page may turn at any moment then.
async function keptWords(form, action) {
  const note = captioned(form, action);
  if (!note) return null;
  const { photo, name, ...more } = action;
  return queue.add({ ...more, step: "commented", label: texts["step.commented"], detail: note, fields: { note } });
}

// As the browser alone would have sent it: the server's page says what is wrong.
function natively(form, submitter) {
  if (submitter?.name) {
    const pressed = Object.assign(document.createElement("input"), { type: "hidden", name: submitter.name, value: submitter.value });
    form.append(pressed);
  }
  if (submitter?.hasAttribute("formaction")) form.action = submitter.formAction;
  HTMLFormElement.prototype.submit.call(form);
}

function done(action, dark) {
  const word = dark ? "fixed_dark" : (action.step ?? "photo");
  const page = `/alerts/${action.alert}?said=${word}`;
  if (location.pathname + location.search === page) location.reload();
  else location.assign(`${page}#said`);
}

// What is kept leaves its fields; what was typed since the press stays.
function emptied(form, action) {
  for (const field of form.querySelectorAll("textarea")) if (field.value === action.fields.note) field.value = "";
  if (action.photo) for (const field of form.querySelectorAll("input[type=file], [name=caption]")) field.value = "";
}

async function later() {
  const worker = await navigator.serviceWorker?.getRegistration("/");
  await worker?.sync?.register(queue.LOCK).catch(() => undefined); // where the browser sends by itself
}

async function show(result = null) {
  if (result) stopped = result.stopped;
  if (result?.sent.length) {
    const link = Object.assign(document.createElement("a"), { href: location.pathname, textContent: texts["offline.said.reload"] });
    say(texts["offline.said.sent"].replace("{count}", result.sent.length), link);
  }
  const mine = (await queue.of(person)).filter((action) => !alert || action.alert === alert);
  state(navigator.onLine && !seenAt ? null : seenAt);
  list(mine);
}

function state(copyAt) {
  const line = root.querySelector("[data-offline-state]");
  line.hidden = copyAt === null;
  const text = copyAt ? texts["offline.said.copy"].replace("{at}", clock(copyAt)) : texts["offline.said.offline"];
  if (copyAt !== null && line.textContent !== text) line.textContent = text;
}

function list(actions) {
  const section = root.querySelector("[data-offline-queue]");
  section.hidden = !actions.length;
  section.querySelector("[data-offline-count]").textContent = actions.length;
  const door = section.querySelector("[data-offline-sign-in]");
  door.hidden = stopped !== "signed_out" && stopped !== "other";
  door.querySelector("a").href = `/sign-in?next=${encodeURIComponent(location.pathname)}`;
  const items = section.querySelector("ul");
  const shown = JSON.stringify(actions.map(({ id, trouble }) => [id, trouble]));
  if (items.dataset.shown === shown) return; // what has the focus keeps it
  items.dataset.shown = shown;
  items.replaceChildren(...actions.map(item));
}

function item(action) {
  const made = document.createElement("li");
  const text = document.createElement("p");
  const link = Object.assign(document.createElement("a"), { href: `/alerts/${action.alert}`, textContent: action.title });
  const what = action.photo ? `${action.label}: ${action.name}` : [action.label, action.detail].filter(Boolean).join(": ");
  const at = Object.assign(document.createElement("span"), { className: "sub", textContent: ` (${clock(action.made_at)})` });
  text.append(what, " · ", link, at);
  made.append(text);
  if (action.trouble) made.append(...decisions(action));
  return made;
}

// The person decides: nothing is thrown away by itself.
function decisions(action) {
  const why = Object.assign(document.createElement("p"), { className: "wrong", textContent: whyOf(action.trouble) });
  const buttons = Object.assign(document.createElement("p"), { className: "actions" });
  const button = (key, work) => {
    const made = Object.assign(document.createElement("button"), { type: "button", textContent: texts[key] });
    made.addEventListener("click", async () => {
      await work();
      await refresh();
    });
    buttons.append(made);
  };
  if (action.step && action.trouble.code !== "refused") {
    const note = [action.label, action.detail].filter(Boolean).join(": ");
    button("offline.said.as_comment", () => queue.asComment(action.id, note, texts["step.commented"]));
  }
  button("offline.said.discard", () => queue.drop(action.id));
  return [why, buttons];
}

function whyOf(trouble) {
  const step = texts[`step.${trouble.step}`] ?? trouble.step;
  return texts[`offline.said.${trouble.code}`]
    .replace("{detail}", trouble.detail)
    .replace("{step}", step)
    .replace("{who}", trouble.who)
    .replace("{at}", trouble.at && clock(trouble.at));
}

function clock(at) {
  const time = new Date(at);
  const today = time.toDateString() === new Date().toDateString();
  const parts = { hour: "2-digit", minute: "2-digit", ...(today ? {} : { day: "numeric", month: "numeric" }) };
  return time.toLocaleString(document.documentElement.lang, parts);
}

// What answers a press is where the person is brought; what comes by itself moves nothing.
function answered(key) {
  say(texts[key]);
  said.firstElementChild.tabIndex = -1;
  said.firstElementChild.focus();
}

function say(text, ...more) {
  const line = Object.assign(document.createElement("p"), { className: "said" });
  line.append(text, ...more.flatMap((one) => [" ", one]));
  said.replaceChildren(line);
}
