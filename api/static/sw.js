// The service worker: keeps static files and the last seen copy of the crew's pages, sends what waits, shows pushes.
// The server puts KRAJ (version, files, languages) in front.

importScripts(`/static/queue.js?${KRAJ.version}`);

const FILES = `kraj-static-${KRAJ.version}`;
const PAGES = `kraj-pages-${KRAJ.version}`;
const PAGES_MAX = 80; // about 5 MB, photos included more
const PATIENCE_MS = 8000; // with a copy at hand; a bar of signal is often none
const CREW = /^\/alerts(\/|$)/;
const DOOR = /^\/(sign-in|sign-out|links|second-factor)(\/|$)/;

const offlinePage = (language, unsent) => `/offline?lang=${language}${unsent ? "&unsent" : ""}`;

self.addEventListener("install", (event) => {
  const pages = KRAJ.languages.flatMap((language) => [offlinePage(language, false), offlinePage(language, true)]);
  event.waitUntil((async () => {
    const cache = await caches.open(FILES);
    await cache.addAll(KRAJ.files);
    // Without a cookie: nobody's name is on them.
    await cache.addAll(pages.map((page) => new Request(page, { credentials: "omit" })));
    await self.skipWaiting();
  })());
});

self.addEventListener("activate", (event) => {
  event.waitUntil((async () => {
    for (const name of await caches.keys()) {
      if (name.startsWith("kraj-") && name !== FILES && name !== PAGES) await caches.delete(name);
    }
    await self.clients.claim();
  })());
});

self.addEventListener("fetch", (event) => {
  const request = event.request;
  const url = new URL(request.url);
  const page = request.mode === "navigate";
  if (url.origin !== self.location.origin) return;
  if (page && DOOR.test(url.pathname) && (request.method === "POST" || url.pathname.startsWith("/sign-in/"))) {
    event.respondWith(krajQueue.purge().then(() => fetch(request)).catch(() => without(request)));
  } else if (page && request.method === "POST") {
    event.respondWith(fetch(request).catch(() => without(request)));
  } else if (request.method !== "GET") {
    return;
  } else if (url.pathname.startsWith("/static/")) {
    event.respondWith(file(request, url));
  } else if (CREW.test(url.pathname)) {
    event.respondWith(seen(event, request, url, page));
  } else if (page) {
    event.respondWith(fetch(request).catch(() => without(request)));
  }
});

async function file(request, url) {
  const cache = await caches.open(FILES);
  const kept = await cache.match(request, { ignoreSearch: true });
  if (kept && ["", `?${KRAJ.version}`].includes(url.search)) return kept;
  return fetch(request).catch((error) => {
    if (kept) return kept; // a copy of a page of an older version
    throw error;
  });
}

async function seen(event, request, url, page) {
  for (const name of ["said", "lang"]) url.searchParams.delete(name);
  url.hash = "";
  const cache = await caches.open(PAGES);
  const copy = await cache.match(url.href);
  const asked = fetch(request);
  event.waitUntil(asked.then((answer) => keep(cache, url.href, answer.clone())).catch(() => undefined));
  try {
    return await (copy && page ? Promise.race([asked, late()]) : asked);
  } catch (error) {
    const html = copy?.headers.get("content-type").startsWith("text/html");
    if (copy && (page || !html)) return shown(copy); // what refreshes a page by itself must see that it cannot
    if (page) return without(request);
    throw error;
  }
}

function late() {
  return new Promise((_, failed) => setTimeout(() => failed(new Error("late")), PATIENCE_MS));
}

async function keep(cache, href, answer) {
  if (answer.type !== "basic" || answer.redirected) return;
  if ([403, 404, 410].includes(answer.status)) await cache.delete(href);
  if (answer.status !== 200) return;
  const headers = new Headers(answer.headers);
  for (const name of ["content-encoding", "content-length"]) headers.delete(name);
  headers.set("kraj-seen-at", new Date().toISOString());
  await cache.put(href, new Response(await answer.blob(), { headers }));
  const kept = await cache.keys();
  for (const old of kept.slice(0, Math.max(0, kept.length - PAGES_MAX))) await cache.delete(old);
}

// A page says since when it is a copy.
async function shown(copy) {
  if (!copy.headers.get("content-type").startsWith("text/html")) return copy;
  const at = copy.headers.get("kraj-seen-at");
  return new Response((await copy.text()).replace("<html ", `<html data-seen-at="${at}" `), { headers: copy.headers });
}

async function without(request) {
  const language = (await krajQueue.known("language").catch(() => null)) ?? KRAJ.languages[0];
  const page = await caches.match(offlinePage(language, request.method === "POST"));
  return page ?? Response.error();
}

self.addEventListener("sync", (event) => {
  if (event.tag !== krajQueue.LOCK) return;
  event.waitUntil(krajQueue.sync().then((result) => {
    if (result.stopped === "later") throw new Error("later"); // the browser tries again
  }));
});

self.addEventListener("push", (event) => {
  const said = event.data.json();
  const options = { body: said.body, tag: said.url, data: said.url, lang: said.language, icon: "/static/icon-192.png" };
  event.waitUntil(self.registration.showNotification(said.title, options));
});

self.addEventListener("notificationclick", (event) => {
  event.notification.close();
  const url = new URL(event.notification.data, self.location.origin).href;
  event.waitUntil((async () => {
    const open = (await self.clients.matchAll({ type: "window" })).find((client) => client.url.split(/[?#]/)[0] === url);
    return open ? open.focus() : self.clients.openWindow(url);
  })());
});
