// How far a trial is, until its verdict is there; without this script the link asks again.
const section = document.querySelector("[data-trial]");
const progress = document.querySelector("#progress");

async function look() {
  try {
    const answer = await fetch(`/v1/trials/${section.dataset.trial}`, { cache: "no-store" });
    if (answer.ok) {
      const trial = await answer.json();
      if (trial.state === "done" || trial.state === "failed") {
        window.location.reload();
        return;
      }
      progress.value = trial.progress;
    }
  } catch {
    // The server is away for a moment; the next look tells.
  }
  setTimeout(look, Number(section.dataset.pollMs));
}

setTimeout(look, Number(section.dataset.pollMs));
