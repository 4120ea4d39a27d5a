"use strict";
// The page: waits for jobs, gives each to a worker of its own, and shows what is going on.

const show = (id, text) => { document.getElementById(id).textContent = text; };
// Tells this page from others that have the same link.
const page = Array.from(crypto.getRandomValues(new Uint8Array(8)), (byte) => byte.toString(16)).join("");
let stopJob = null;
const pause = (ms) => new Promise((done) => setTimeout(done, ms));

/** Keeps a response open for as long as the page lives, so that phonebench notices when it is gone. */
async function stayConnected() {
  try {
    const reader = (await fetch(`alive?page=${page}`)).body.getReader();
    for (let part = await reader.read(); !part.done; part = await reader.read()) {
      if (new TextDecoder().decode(part.value).includes("stop")) stopJob?.();
    }
  } catch {
    // Handled below: an ended response and a broken one mean the same.
  }
  show("state", "phonebench has ended. You can close this page.");
}

/** Runs one job in a new worker, so that each launch has a runtime of its own. Resolves when its reply was sent. */
function runJob(job) {
  return new Promise((done) => {
    const worker = new Worker("worker.js");
    const end = () => {
      stopJob = null;
      worker.terminate();
      document.removeEventListener("visibilitychange", seen);
      done();
    };
    const seen = () => worker.postMessage({ hidden: document.hidden });
    stopJob = end;
    document.addEventListener("visibilitychange", seen);
    worker.onmessage = ({ data }) => {
      if (data.phase) show("phase", data.phase);
      if (data.cell) { show("cell", data.cell); show("launch", data.launch); }
      if (data.ended) end();
    };
    worker.onerror = async (event) => {
      const text = `${event.message || "the worker cannot be started"} (${event.filename || "worker.js"}:${event.lineno || 0})`;
      await fetch(`jobs/${job}/error`, { method: "POST", body: text });
      end();
    };
    worker.postMessage({ job, hidden: document.hidden });
  });
}

async function main() {
  show("browser", navigator.userAgent);
  stayConnected();
  for (let done = 0; ;) {
    let answer;
    try {
      answer = await fetch(`next?page=${page}`);
    } catch {
      return;
    }
    if (answer.status === 200) {
      const { job } = await answer.json();
      show("state", "Measuring. Please leave this device alone.");
      await runJob(job);
      done += 1;
      show("done", done);
      show("phase", "waiting for the next launch");
      show("state", "Connected.");
    } else if (answer.status !== 204) {
      return;
    } else {
      show("state", "Connected.");
      await pause(50);
    }
  }
}

main();
