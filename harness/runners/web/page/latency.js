"use strict";
// The latency pass. Browsers round their clock, so a sample of a fast model is the mean of several calls.

/** A sample should last this many steps of the clock, so that a step is at most 1 % of it. */
const STEPS_PER_SAMPLE = 100;
/** And at least this long, because a step may itself be off by some microseconds. */
const LEAST_SAMPLE_MS = 0.5;
/** Samples in one chunk: half a MiB. */
const CHUNK = 65536;

/** Returns the step of `performance.now()` in milliseconds: the smallest difference seen within 5 ms or 5 steps. */
function clockStepMs() {
  let least = Infinity;
  const began = performance.now();
  for (let before = began, steps = 0; steps < 5 || before - began < 5;) {
    const now = performance.now();
    if (now > before) {
      least = Math.min(least, now - before);
      before = now;
      steps += 1;
    }
  }
  return least;
}

/** Times in order, in milliseconds, in chunks that are allocated between calls. */
class Samples {
  constructor() {
    this.chunks = [new Float64Array(CHUNK)];
    this.inLast = 0;
  }

  add(value) {
    if (this.inLast === CHUNK) {
      this.chunks.push(new Float64Array(CHUNK));
      this.inLast = 0;
    }
    this.chunks.at(-1)[this.inLast++] = value;
  }

  get count() { return (this.chunks.length - 1) * CHUNK + this.inLast; }

  /** Returns every time divided by `calls`, in whole nanoseconds. */
  nanoseconds(calls = 1) {
    const all = this.chunks.flatMap((chunk, at) => Array.from(at < this.chunks.length - 1 ? chunk : chunk.subarray(0, this.inLast)));
    return all.map((ms) => Math.round(ms * 1e6 / calls));
  }
}

/** Times samples of `calls` calls until both minima are met or `maxMs` has passed; `keep` takes start and length. */
async function timeCalls(invoke, { minSamples, minMs, maxMs, calls, waitMs }, keep) {
  const began = performance.now();
  for (let samples = 1; ; samples += 1) {
    const start = performance.now();
    for (let call = 0; call < calls; call += 1) {
      const running = invoke();
      if (running !== undefined) await running;
    }
    const end = performance.now();
    keep(start - began, end - start);
    const elapsed = end - began;
    if ((samples >= minSamples && elapsed >= minMs) || elapsed >= maxMs) return { samples, elapsed };
    if (waitMs) await new Promise((done) => setTimeout(done, waitMs));
  }
}

/** Returns how many calls of `callMs` a sample needs on a clock with steps of `stepMs`. */
function callsPerSample(callMs, stepMs) {
  const sampleMs = Math.max(LEAST_SAMPLE_MS, STEPS_PER_SAMPLE * stepMs);
  return callMs >= sampleMs ? 1 : Math.ceil(sampleMs / Math.max(callMs, stepMs / 10));
}

/** Times call 0, the warm-up and the measured calls of `invoke`. Returns the record for the reply. */
async function measureLatency(invoke, pass, stepMs) {
  const { warmup, measure, interval_ns: intervalNs = 0, stride_ns: strideNs = 0 } = pass;
  const maxMs = measure.max_ns / 1e6;
  const waitMs = intervalNs / 1e6;
  const first = new Samples();
  const warm = new Samples();
  const measured = new Samples();
  const moments = new Samples();
  self.gc?.();
  await timeCalls(invoke, { minSamples: 1, minMs: 0, maxMs, calls: 1, waitMs: 0 }, (_, ms) => first.add(ms));
  let callMs = first.chunks[0][0];
  if (warmup.min_calls || warmup.min_ns) {
    const limits = { minSamples: warmup.min_calls, minMs: warmup.min_ns / 1e6, maxMs, calls: 1, waitMs };
    let half = 0;
    let elapsed = 0;
    await timeCalls(invoke, limits, (at, ms) => {
      warm.add(ms);
      if (at + ms >= 2 * elapsed) { half = warm.count; elapsed = at + ms; }
    });
    callMs = recentMedian(warm, half);
  }
  const calls = waitMs ? 1 : callsPerSample(callMs, stepMs);
  const limits = { minSamples: measure.min_calls, minMs: measure.min_ns / 1e6, maxMs, calls, waitMs: strideNs ? 0 : waitMs };
  let due = 0;
  await timeCalls(invoke, limits, (at, ms) => {
    if (at < due) return;
    measured.add(ms);
    if (strideNs) {
      moments.add(at);
      due = at + strideNs / 1e6;
    }
  });
  return {
    first_ns: first.nanoseconds()[0],
    warmup_ns: warm.nanoseconds(),
    samples_ns: measured.nanoseconds(calls),
    at_ns: moments.nanoseconds(),
    calls_per_sample: calls,
  };
}

/** Returns the median time in ms of the warm-up calls after the first `skipped`, or of all if none is left. */
function recentMedian(warm, skipped) {
  const times = warm.nanoseconds();
  const last = (times.length > skipped ? times.slice(skipped) : times).sort((a, b) => a - b);
  return last[last.length >> 1] / 1e6;
}
