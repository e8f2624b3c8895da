// Keeps the page's files for when the server is gone: what trains in a tab needs nothing else of it.
// The server writes FILES before this.

const NAME = "textwright";

addEventListener("install", (event) => {
  event.waitUntil(caches.open(NAME).then((cache) => cache.addAll(FILES)));
});

addEventListener("fetch", (event) => {
  const { method, url } = event.request;
  if (method === "GET" && url.startsWith(registration.scope)) event.respondWith(answered(event));
});

/** What the server has now; what it had, where it doesn't answer. */
async function answered(event) {
  const { request } = event;
  const cache = await caches.open(NAME).catch(() => null); // no room, or none allowed: the network's answer is good all the same
  try {
    const answer = await fetch(request);
    if (answer.ok && cache) event.waitUntil(cache.put(request, answer.clone()).catch(() => {}));
    return answer;
  } catch {
    return (await cache?.match(request)) ?? Response.error();
  }
}
