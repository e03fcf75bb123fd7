// Asks the browser where one is, only when its button is pressed; prints; says at once that a photo is too large.

const form = document.querySelector("[data-near-form]");
const locate = document.querySelector("[data-locate]");
if (form && locate && "geolocation" in navigator) {
  const said = form.querySelector("[data-near-said]");
  locate.hidden = false;
  locate.addEventListener("click", () => {
    said.textContent = locate.dataset.asking;
    navigator.geolocation.getCurrentPosition(
      ({ coords }) => {
        form.querySelector("[name=near]").value = `${coords.latitude.toFixed(5)},${coords.longitude.toFixed(5)}`;
        form.requestSubmit();
      },
      () => {
        said.textContent = locate.dataset.refused;
      },
      { enableHighAccuracy: true, timeout: 15_000, maximumAge: 60_000 },
    );
  });
}

const print = document.querySelector("[data-print]");
if (print) {
  print.hidden = false;
  print.addEventListener("click", () => window.print());
}

for (const input of document.querySelectorAll("[data-bytes-max]")) {
  const said = document.getElementById(input.getAttribute("aria-describedby"));
  input.addEventListener("change", () => {
    const large = [...input.files].some((file) => file.size > Number(input.dataset.bytesMax));
    input.setCustomValidity(large ? input.dataset.tooLarge : "");
    input.setAttribute("aria-invalid", String(large));
    said.textContent = large ? input.dataset.tooLarge : "";
  });
}
