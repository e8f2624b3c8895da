// The page's addresses: #part, #part/model, #write/model/text. Names are escaped, whatever they hold.

/** {part, model, text, unknown} of a hash; `parts` are those that there are. */
export function read(hash, parts) {
  const [part, model, text] = hash.replace(/^#/, "").split("/").map(plain);
  const known = parts.includes(part);
  return { part: known ? part : parts[0], model: known ? model || null : null, text: known ? text || null : null, unknown: known || !part ? null : part };
}

function plain(name) {
  try {
    return decodeURIComponent(name);
  } catch {
    return name;
  }
}

export function address({ part, model, text }) {
  const names = [part, model, part === "write" && model ? text : null];
  return `#${names.filter(Boolean).map(encodeURIComponent).join("/")}`;
}
