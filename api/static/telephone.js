// Switches messages on in this browser: asks for its permission, and tells the server where they go.

const root = document.querySelector("[data-telephone]");
if (root) start(root);

function start(root) {
  const form = root.querySelector("form");
  const note = root.querySelector("[data-telephone-note]");
  if (!("serviceWorker" in navigator) || !("PushManager" in window)) {
    note.textContent = root.dataset.unable;
    return;
  }
  form.hidden = false;
  form.addEventListener("submit", async (event) => {
    event.preventDefault();
    note.textContent = "";
    try {
      if ((await Notification.requestPermission()) !== "granted") throw new Error(root.dataset.denied);
      await switchOn(form.elements.severity_min.value);
      location.assign("/notifications?telephone=on#telephones");
    } catch (error) {
      note.textContent = error.message;
    }
  });

  async function switchOn(severity) {
    const worker = await navigator.serviceWorker.register("/sw.js", { scope: "/" });
    await navigator.serviceWorker.ready;
    const subscription = await worker.pushManager.subscribe({ userVisibleOnly: true, applicationServerKey: root.dataset.key });
    const { endpoint, keys } = subscription.toJSON();
    const answer = await fetch("/notifications/telephones", {
      method: "POST",
      headers: { "content-type": "application/json", accept: "application/json" },
      body: JSON.stringify({ endpoint, keys, severity_min: severity }),
    });
    if (!answer.ok) throw new Error((await answer.json()).detail);
  }
}
