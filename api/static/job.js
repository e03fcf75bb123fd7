// How far a job is, until there is something to see; without this script the link asks again.
const shown = document.querySelector("[data-job]");
const progress = document.querySelector("#progress");

async function look() {
  try {
    const answer = await fetch(`/v1/jobs/${shown.dataset.job}`, { cache: "no-store" });
    if (answer.ok) {
      const job = await answer.json();
      if (job.state !== "running") {
        window.location.reload(); // it leads to the preview, or says what is wrong
        return;
      }
      progress.value = job.progress_pct;
    }
  } catch {
    // The server is away for a moment; the next look tells.
  }
  setTimeout(look, Number(shown.dataset.pollMs));
}

setTimeout(look, Number(shown.dataset.pollMs));
