package org.phonebench.runner.core;

import java.util.ArrayList;
import java.util.Collections;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;

/** What one launch is asked to do, schema {@value #SCHEMA}; a pass that is not wanted is null. */
public record RunRequest(
        String cell, int launch, Artifact artifact, Runtime runtime, Inputs inputs, Passes passes) {
    public static final int SCHEMA = 1;

    /** One file of the artifact, by its name and its digest in lower-case hexadecimal. */
    public record Part(String file, String sha256) {}

    /** The file to load, the runtime that takes it, and what the file refers to by name. */
    public record Artifact(String file, String sha256, String format, List<Part> companions) {
        public Artifact {
            companions = Collections.unmodifiableList(new ArrayList<>(companions));
        }

        /** Every file of the artifact, the one to load first. */
        public List<Part> parts() {
            List<Part> parts = new ArrayList<>();
            parts.add(new Part(file, sha256));
            parts.addAll(companions);
            return parts;
        }
    }

    /** What the runtime is asked for; what it did stands in the reply. */
    public record Runtime(Delegate delegate, int threads, Map<String, String> options) {
        public Runtime {
            options = Collections.unmodifiableMap(new LinkedHashMap<>(options));
        }

        /** For a runtime, called {@code title}, that has no options; throws a failure {@code input} for any. */
        public void refuseOptions(String title) throws RunFailure {
            if (!options.isEmpty()) {
                throw RunFailure.failed(FailureKind.INPUT, title + " takes no options here, but the request has "
                    + options.keySet() + ": leave them out");
            }
        }
    }

    /** {@code count} inputs in {@code file}: input by input, tensor by tensor. */
    public record Inputs(String file, int count, List<TensorSpec> tensors) {
        public Inputs {
            tensors = Collections.unmodifiableList(new ArrayList<>(tensors));
        }

        /** Size of all tensors of one call, in bytes. */
        public long recordBytes() {
            long sum = 0;
            for (TensorSpec spec : tensors) {
                sum = Math.addExact(sum, spec.bytes());
            }
            return sum;
        }
    }

    /** The passes wanted, run in this order in one process. */
    public record Passes(Latency latency, Memory memory, Outputs outputs, Profile profile) {}

    /** Calls until both minima are met, or until {@code maxNs} has passed. */
    public record Limits(long minCalls, long minNs, long maxNs) {}

    /** Single calls on input 0; with a stride only one that begins so long after the last one kept is kept. */
    public record Latency(Limits warmup, Limits measure, long intervalNs, long strideNs) {}

    /** Reads memory between {@code calls} untimed calls, and {@code settleNs} after the model is released. */
    public record Memory(int calls, long settleNs) {}

    /** Runs the inputs {@code 0 … count - 1} once each and writes their outputs. */
    public record Outputs(int count) {}

    /** Times of single operators over {@code calls} calls, where the runtime can tell. */
    public record Profile(int calls) {}
}
