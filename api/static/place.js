// The place of an asset: where one stands, at a click; without this script the coordinates are written.

const fields = document.querySelector("[data-place]");
const button = fields?.querySelector("[data-here]");
if (button && "geolocation" in navigator) start(fields, button, fields.querySelector("[data-here-said]"));

function start(root, here, said) {
  here.hidden = false;
  here.addEventListener("click", () => {
    said.textContent = "";
    navigator.geolocation.getCurrentPosition(
      ({ coords }) => {
        root.querySelector("#latitude").value = coords.latitude.toFixed(6);
        root.querySelector("#longitude").value = coords.longitude.toFixed(6);
      },
      () => (said.textContent = said.dataset.failed),
      { enableHighAccuracy: true, timeout: 15000 },
    );
  });
}
