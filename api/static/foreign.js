// The list of last messages, fetched again every few seconds while the box is ticked and nobody reads a raw message.
const PERIOD_MS = 5000;
const box = document.getElementById("live");
const words = document.getElementById("live-words");
box.hidden = words.hidden = false;

async function renew() {
  const list = document.getElementById("messages");
  if (!box.checked || document.hidden || list.querySelector("details[open]") || list.contains(document.activeElement)) return;
  try {
    const answer = await fetch(location.href, { headers: { accept: "text/html" } });
    if (!answer.ok || answer.redirected) return;
    const page = new DOMParser().parseFromString(await answer.text(), "text/html");
    const found = page.getElementById("messages");
    if (found) list.replaceWith(document.adoptNode(found));
  } catch {
    // away for a moment; the next round tries again
  }
}
setInterval(renew, PERIOD_MS);
