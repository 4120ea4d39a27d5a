package org.phonebench.runner.core;

import java.util.ArrayList;
import java.util.Collections;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;

/** The request of one launch, schema {@value #SCHEMA}. A pass that is not requested is null. */
public record RunRequest(
        String cell, int launch, Artifact artifact, Runtime runtime, Inputs inputs, Passes passes) {
    public static final int SCHEMA = 1;

    /** One file of the artifact: its name, and its digest in lower-case hexadecimal. */
    public record Part(String file, String sha256) {}

    /** A file as it lies in the store: the digest of the ciphertext, and the wrapped key of the file. */
    public record EncryptedFile(String sha256, byte[] key) {}

    /** The files of an artifact, in the order of its parts, encrypted for the key with the digest {@code recipient}. */
    public record Encryption(String recipient, List<EncryptedFile> files) {
        public Encryption {
            files = Collections.unmodifiableList(new ArrayList<>(files));
        }
    }

    /**
     * The file to load, its format, the companion files that it refers to by name, and its signature or "".
     *
     * @param encryption null for files that are not encrypted; the digests are always those of the plain files
     */
    public record Artifact(String file, String sha256, String format, List<Part> companions, String signature,
            Encryption encryption) {
        public Artifact {
            companions = Collections.unmodifiableList(new ArrayList<>(companions));
        }

        public Artifact(String file, String sha256, String format, List<Part> companions, String signature) {
            this(file, sha256, format, companions, signature, null);
        }

        /** All files of the artifact, beginning with the one to load. */
        public List<Part> parts() {
            List<Part> parts = new ArrayList<>();
            parts.add(new Part(file, sha256));
            parts.addAll(companions);
            return parts;
        }
    }

    /** What the runtime is asked to do. What it really did is in the reply. */
    public record Runtime(Delegate delegate, int threads, Map<String, String> options) {
        public Runtime {
            options = Collections.unmodifiableMap(new LinkedHashMap<>(options));
        }

        /** Throw a failure {@code input} if there are options, for a runtime called {@code title} that has none. */
        public void refuseOptions(String title) throws RunFailure {
            if (!options.isEmpty()) {
                throw RunFailure.failed(FailureKind.INPUT, title + " takes no options here, but the request has "
                    + options.keySet() + ": remove them");
            }
        }
    }

    /** {@code count} inputs in {@code file}: input by input, tensor by tensor. The digest may be null. */
    public record Inputs(String file, int count, List<TensorSpec> tensors, String sha256) {
        public Inputs {
            tensors = Collections.unmodifiableList(new ArrayList<>(tensors));
        }

        /** The size of all tensors of one call, in bytes. */
        public long recordBytes() {
            long sum = 0;
            for (TensorSpec spec : tensors) {
                sum = Math.addExact(sum, spec.bytes());
            }
            return sum;
        }
    }

    /** The requested passes, which run in this order in one process. */
    public record Passes(Latency latency, Memory memory, Outputs outputs, Profile profile, Energy energy,
            Generate generate, Score score) {
        public Passes(Latency latency, Memory memory, Outputs outputs, Profile profile) {
            this(latency, memory, outputs, profile, null, null, null);
        }

        /** Whether they are those of a language model. */
        boolean ofLanguage() {
            return generate != null || score != null;
        }

        /** How many inputs they need. */
        int inputsNeeded() {
            return Math.max(outputs == null ? 0 : outputs.count(), score == null ? 0 : score.count());
        }
    }

    /** Call until both minima are reached, or until {@code maxNs} has passed. */
    public record Limits(long minCalls, long minNs, long maxNs) {}

    /** Single calls on input 0. With a stride, calls that begin sooner after the last one kept are dropped. */
    public record Latency(Limits warmup, Limits measure, long intervalNs, long strideNs) {}

    /** Reads memory between {@code calls} untimed calls, and {@code settleNs} after the model is released. */
    public record Memory(int calls, long settleNs) {}

    /** Runs the inputs {@code 0 … count - 1} once each and writes their outputs. */
    public record Outputs(int count) {}

    /** Waits for {@code settleNs} and then, as the idle block, for {@code idleNs}, both before the first call. */
    public record Energy(long idleNs, long settleNs) {}

    /**
     * Generates {@code newTokens} tokens after the first {@code promptTokens} of the inputs, one generation per call.
     *
     * @param promptText a text of as many tokens, for a runtime that takes text, or ""
     * @param tokenizer the companion of the artifact that such a runtime tokenises with, or ""
     */
    public record Generate(int promptTokens, int newTokens, Limits warmup, Limits measure, String promptText,
            String tokenizer) {}

    /** Feeds the inputs {@code 0 … count - 1} to a language model and writes how likely it finds their tokens. */
    public record Score(int count) {}

    /** Times of single operators over {@code calls} calls, if the runtime reports them. */
    public record Profile(int calls) {}
}
