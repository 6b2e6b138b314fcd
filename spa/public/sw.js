// Serves the page from the shelf that src/shell.ts fills, when the server does not answer. It fills nothing itself.
const SHELF = "staffcall";
const ANSWER_MS = 3000;

self.addEventListener("install", () => self.skipWaiting());
self.addEventListener("activate", (event) => event.waitUntil(self.clients.claim()));

self.addEventListener("fetch", (event) => {
  const { request } = event;
  const [url, home] = [new URL(request.url), new URL(self.registration.scope)];
  if (request.method !== "GET" || url.origin !== home.origin || !url.pathname.startsWith(home.pathname)) return;
  const name = url.pathname.slice(home.pathname.length);
  if (name === "" && request.mode === "navigate") event.respondWith(newest(request, home.href));
  else if (name === "brand.css" || name === "favicon.svg") event.respondWith(newest(request, request.url));
  else if (name.startsWith("assets/")) event.respondWith(shelved(request));
});

/** What the server has; what is on the shelf, if it does not answer well. */
async function newest(request, name) {
  const kept = await caches.open(SHELF).then((shelf) => shelf.match(name));
  try {
    const answer = await fetch(request, kept ? { signal: AbortSignal.timeout(ANSWER_MS) } : {});
    if (answer.ok || !kept) return answer;
  } catch (error) {
    if (!kept) throw error;
  }
  return kept;
}

/** A name with a hash in it never changes. */
const shelved = async (request) => (await caches.open(SHELF).then((shelf) => shelf.match(request))) ?? fetch(request);
