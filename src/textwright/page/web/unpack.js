// Starts the program of the page as one file, which lies in it packed.

async function unpack() {
  const packed = Uint8Array.from(atob(document.getElementById("program").textContent), (one) => one.charCodeAt(0));
  const program = await new Response(new Blob([packed]).stream().pipeThrough(new DecompressionStream("gzip"))).text();
  document.body.append(Object.assign(document.createElement("script"), { textContent: program })); // the policy names its hash
}

unpack().catch(() => document.body.append("This page needs a browser of 2023 or later."));
