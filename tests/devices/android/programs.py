"""Stand-ins for the runtimes' benchmark programs: shell scripts that take the same flags and print the same lines.

What they print was written down from the programs' own sources and from a real ``executor_runner`` on a desktop.
"""

from __future__ import annotations

from pathlib import Path

_FLAGS = """#!/system/bin/sh
for word in "$@"; do case "$word" in --*=*) name=${word%%=*}; eval "${name#--}='${word#*=}'";; esac; done
"""

# ``$graph`` and similar variables hold the flags.
BENCHMARK_MODEL = (
    _FLAGS
    + """echo "STARTING!" >&2
[ -f "$graph" ] || { echo "ERROR: Failed to load model $graph" >&2; exit 1; }
echo "Loaded model $graph" >&2
[ -z "$LASTING" ] || sleep $LASTING
delegate=
[ "$use_xnnpack" = true ] && delegate=XNNPACK
[ "$use_gpu" = true ] && delegate=GPU
if [ "$delegate" = GPU ] && [ -n "$NO_GPU" ]; then
  echo "ERROR: Following operations are not supported by GPU delegate: TOPK" >&2
  echo "Failed to apply GPU delegate." >&2; exit 1
fi
[ "$use_nnapi" = true ] && echo "Unconsumed cmdline flags: --use_nnapi=true" >&2
if [ -n "$delegate" ]; then
  echo "Replacing 7 out of 9 node(s) with delegate (TfLite$delegate) node, yielding 3 partitions." >&2
  echo "Explicitly applied $delegate delegate, and the model graph will be partially executed by the delegate" \
    "w/ 2 delegate kernels." >&2
fi
if [ -n "$input_layer_value_files" ]; then
  file=${input_layer_value_files#*:}; bytes=$(stat -c %s "$file")
  if [ "$bytes" != "${WANTED:-$bytes}" ]; then
    echo "The size of $file is $bytes bytes. It should be $WANTED bytes." >&2; kill -6 $$
  fi
fi
echo "Initialized session in 4.2ms." >&2
echo "Running benchmark for at least $warmup_runs iterations and at least $warmup_min_secs seconds" >&2
echo "count=$warmup_runs first=900 curr=310 min=305 max=900 avg=420.5 std=200 p5=305 median=312 p95=900" >&2
echo "Running benchmark for at least $num_runs iterations and at least $min_secs seconds" >&2
spread="min=290 max=420 avg=${AVERAGE:-3.05e+02} std=11"
echo "count=$num_runs first=301 curr=300 $spread p5=292 median=${MEDIAN:-300} p95=330" >&2
echo "Inference timings in us: Init: 4200, First inference: 900, Warmup (avg): 420.5, Inference (avg): 305" >&2
echo "Memory footprint delta from the start of the tool (MB): init=1.5 overall=2.25" >&2
[ "$enable_op_profiling" = true ] && cat >&2 << END
Operator-wise Profiling Info for Regular Benchmark Runs:
============================== Run Order ==============================
[node type] [start] [first] [avg ms] [%] [cdf%] [mem KB] [times called] [Name]
TfLiteXNNPackDelegate 0.010 0.281 0.280 93.333% 93.333% 0.000 1 [a]:9
TOPK_V2 0.291 0.020 0.020 6.667% 100.000% 0.000 1 [b]:8

END
exit 0
"""
)

EXECUTOR_RUNNER = (
    _FLAGS
    + """say() { liblog ExecuTorch $$; }
[ -f "$model_path" ] || { echo "Failed to parse model file $model_path" | say; exit 1; }
[ -n "$ABSENT" ] && { echo "Backend $ABSENT is not registered." | say; exit 134; }
{
echo "Model file $model_path is loaded."
echo "Model loaded in 1.250000 ms."
call=0
while [ $((call += 1)) -le $num_executions ]; do
  echo "Iteration $call of $num_executions: $((call == 1 ? 9 : 2)).000000 ms"
done
echo "Model executed successfully $num_executions time(s) in 100.0 ms."
} | say
echo "OutputX 0: tensor(sizes=[1, 2], [1., 2.])"
"""
)


def write_program(path: Path, script: str, **variables: str) -> Path:
    """Write a stand-in with ``variables`` set, and return its path."""
    lines = "".join(f"{name}='{value}'\n" for name, value in variables.items())
    head, _, rest = script.partition("\n")
    path.write_text(f"{head}\n{lines}{rest}")
    return path


# llama.cpp's, whose repetitions take 10, 20 and 31 ms. It also prints what it loads, as the real one does.
LLAMA_BENCH = """#!/bin/sh
model=; prompt=; new=
while [ $# -gt 0 ]; do
  case $1 in -m) model=$2;; -p) prompt=$2;; -n) new=$2;; esac; shift 2
done
[ -f "$model" ] || { echo "error: failed to load model '$model'" >&2; exit 1; }
[ -z "$NO_MEMORY" ] || { echo "error: failed to create context with model '$model'" >&2; exit 1; }
echo "load_backend: loaded CPU backend" >&2
q='"'
line() { echo "{${q}n_prompt${q}: $1, ${q}n_gen${q}: $2, ${q}samples_ns${q}: [$3]}"; }
line $prompt 0 "10000000, 10000000, 12000000"
[ -n "$CUT" ] || line 0 $new "20000000, 20000000, 22000000"
line $prompt $new "31000000, 31000000, 33000000"
"""


# LiteRT-LM's: a block per repetition, of which the first is the slowest. A prompt takes 40, then 10, 20 and 10 ms, the
# new tokens 80, then 32, 32 and 40 ms, in the different units that Abseil writes.
LITERT_LM = """#!/bin/sh
prompt=; new=; times=1
for word in "$@"; do
  case $word in
    --model_path=*) model=${word#*=};; --benchmark_prefill_tokens=*) prompt=${word#*=};;
    --benchmark_decode_tokens=*) new=${word#*=};; --num_iterations=*) times=${word#*=};;
  esac
done
[ -z "$OLD" ] || { echo "ERROR: Unknown command line flag 'num_iterations'" >&2; exit 1; }
[ -f "$model" ] && [ -z "$DAMAGED" ] || { echo "F0000 lib.cc:1] Failed to create engine: INTERNAL"; exit 134; }
[ -z "$FULL" ] || { echo "Exceeding the maximum number of tokens allowed: 600 >= 512"; exit 1; }
block() {
  echo "BenchmarkInfo:
  Init Phases (1):
    - Init Total: 120.50 ms
--------------------------------------------------
  Time to first token: $1 s
--------------------------------------------------
  Prefill Turns (Total 1 turns):
    Prefill Turn 1: Processed ${COUNTED:-$prompt} tokens in $2 duration.
      Prefill Speed: 1.00 tokens/sec.
--------------------------------------------------
  Decode Turns (Total 1 turns):
    Decode Turn 1: Processed $new tokens in $3 duration.
      Decode Speed: 1.00 tokens/sec.
--------------------------------------------------"
}
echo "I0000 00:00:1.0 litert_lm_lib.cc:868] Running single-turn conversation" >&2
block 0.05 40ms 80ms
[ -n "$CUT" ] && exit 0
block 0.01 10ms 0.032s
block 0.02 20ms 32000us
while [ "$times" -gt 3 ]; do block 0.01 10ms 40ms; times=$((times - 1)); done
"""


# ExecuTorch's for language models. Each start answers once: the prompt takes 20 ms, the tokens after the first one
# 63 ms, and from the third start on twice that. It logs to the phone's log what is no result.
LLAMA_MAIN = """#!/bin/sh
for word in "$@"; do
  case $word in
    --model_path=*) model=${word#*=};; --tokenizer_path=*) tokenizer=${word#*=};; --prompt=*) prompt=${word#*=};;
    --max_new_tokens=*) new=${word#*=};;
  esac
done
[ -z "$OTHER" ] || { echo "ERROR: unknown command line flag 'prompt'" >&2; exit 1; }
[ -f "$model" ] && [ -f "$tokenizer" ] || { echo "Failed to create llama runner" | liblog ExecuTorch $$; exit 1; }
[ -z "$FULL" ] || { echo "600 >= 512, Max seq length exceeded" | liblog ExecuTorch $$; exit 1; }
echo start >> starts; times=1; [ "$(grep -c start starts)" -gt 2 ] && times=2
[ -z "$CUT" ] || [ "$(grep -c start starts)" -lt 2 ] || { echo "no more"; exit 0; }
set -- $prompt
echo "$prompt and so it was"
at=$((1000 + 20 * times)); end=$((at + 63 * times))
q='"'; field() { printf '%s' "$q$1$q:$2,"; }
printf 'PyTorchObserver {'
field decode_token_per_sec 1e+03
field prompt_tokens "${COUNTED:-$#}"; field generated_tokens "${MADE:-$((new - 1))}"
field model_load_start_ms 100; field model_load_end_ms 350
field inference_start_ms 1000; field inference_end_ms $end
field prompt_eval_end_ms $at; field first_token_ms $at
echo "${q}SCALING_FACTOR_UNITS_PER_SECOND$q:1000}"
"""
