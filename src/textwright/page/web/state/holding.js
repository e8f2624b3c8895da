// One training is held by one tab of this browser at a time.

const ANSWERED = 400; // milliseconds in which another tab has told that it holds it

/** Holds a training for this tab; a function that lets it go, or null where another tab has it. */
export async function hold(name) {
  const key = `textwright-training-${name}`;
  const held = await locked(key);
  return held === undefined ? claimed(key) : held;
}

/** By the browser's locks; undefined where there are none: on a page from http, not of this machine. */
function locked(key) {
  const locks = globalThis.navigator?.locks;
  return locks && new Promise((resolve) => {
    const wait = (lock) => (lock ? new Promise((letGo) => resolve(letGo)) : resolve(null));
    locks.request(key, { ifAvailable: true }, wait).catch(() => resolve(undefined));
  });
}

/** By asking the other tabs: one that holds it, or asks for it first, says no. */
async function claimed(key) {
  const channel = new BroadcastChannel(key);
  const own = Math.random();
  let refused = false;
  channel.onmessage = ({ data: { asks, refuses } }) => {
    if (refuses === own) refused = true;
    else if (asks !== undefined && !refused) channel.postMessage({ refuses: asks });
  };
  channel.postMessage({ asks: own });
  await new Promise((resolve) => setTimeout(resolve, ANSWERED));
  if (!refused) return () => channel.close();
  channel.close();
  return null;
}
