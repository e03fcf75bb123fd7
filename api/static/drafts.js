// What is typed into a work order stays until its own form is sent: sending another one turns the page, and a
// telephone that opens its camera may load it again.

import "/static/queue.js";

const queue = globalThis.krajQueue;
const person = document.querySelector("[data-offline]")?.dataset.person ?? "";
const KEY = `kraj-typed:${person}:${location.pathname}`;
const PHOTO = "kraj-photo"; // of this tab: whose photo the database holds
const TYPED = "textarea, select, input:not([type]), input[type=text]";
const name = (field) => `${field.form.getAttribute("action")} ${field.name}`;
const mine = [...document.querySelectorAll("main form.act[method=post]")];

for (const [key, value] of Object.entries(kept())) {
  const field = mine.flatMap((form) => [...form.querySelectorAll(TYPED)]).find((one) => name(one) === key);
  if (field && !field.value) field.value = value;
}
photoAgain().catch(() => undefined); // private windows may have no database

document.addEventListener("input", ({ target }) => {
  if (!mine.includes(target.form)) return;
  if (target.type === "file") photoChosen(target).catch(() => undefined);
  else if (target.matches(TYPED)) keep({ ...kept(), [name(target)]: target.value });
});

document.addEventListener("submit", ({ target }) => {
  if (!mine.includes(target)) return;
  const left = Object.entries(kept()).filter(([key]) => !key.startsWith(`${target.getAttribute("action")} `));
  keep(Object.fromEntries(left));
  if (target.querySelector("input[type=file]")) sessionStorage.removeItem(PHOTO);
});

function kept() {
  return JSON.parse(sessionStorage.getItem(KEY) ?? "{}");
}

function keep(typed) {
  sessionStorage.setItem(KEY, JSON.stringify(typed));
}

async function photoChosen(field) {
  await queue.know("photo", field.files[0] ?? null);
  sessionStorage.setItem(PHOTO, `${KEY} ${name(field)}`);
}

async function photoAgain() {
  for (const field of mine.flatMap((form) => [...form.querySelectorAll("input[type=file]")])) {
    if (sessionStorage.getItem(PHOTO) !== `${KEY} ${name(field)}` || field.files.length) continue;
    const photo = await queue.known("photo");
    if (!photo) continue;
    const files = new DataTransfer();
    files.items.add(photo);
    field.files = files.files;
  }
}
