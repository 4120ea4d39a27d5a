package org.phonebench.runner.core;

import java.util.List;
import java.util.Map;

/**
 * The result of one launch. A pass that was not requested, or not reached, is null.
 *
 * @param encryptionKey for which key to encrypt artifacts; null unless the request is about that
 */
public record RunReply(String cell, int launch, Status status, Runner runner, Failure failure, Results results,
        States state, EncryptionKey encryptionKey) {
    public RunReply(String cell, int launch, Status status, Runner runner, Failure failure, Results results,
            States state) {
        this(cell, launch, status, runner, failure, results, state, null);
    }

    /** The same reply without its outputs, for a host that cannot fetch their file. */
    public RunReply withoutOutputs() {
        Results all = results;
        return new RunReply(cell, launch, status, runner, failure, new Results(all.runtime(), all.load(),
            all.latency(), all.memory(), null, all.profile(), all.energy(), all.generations()), state, encryptionKey);
    }

    /** The public key of this runner, a SubjectPublicKeyInfo in Base64, and how the keys of files are wrapped. */
    public record EncryptionKey(String algorithm, String publicKey) {}

    /** How a launch ended. */
    public enum Status { OK, UNSUPPORTED, FAILED }

    /**
     * The program that measured. Results of different kinds of runner are not compared.
     *
     * @param libraryPageBytes the page size that its native libraries are aligned to; null if unknown
     */
    public record Runner(String kind, String version, boolean debuggable, Long libraryPageBytes) {}

    /** A message for people, and the evidence. */
    public record Failure(FailureKind kind, String message, String detail) {}

    /** What was measured. Each part is null until it has been measured. */
    public record Results(Runtime runtime, Load load, Latency latency, Memory memory, Outputs outputs,
            List<OperatorTime> profile, Energy energy, Generations generations) {
        public Results(Runtime runtime, Load load, Latency latency, Memory memory, Outputs outputs,
                List<OperatorTime> profile) {
            this(runtime, load, latency, memory, outputs, profile, null);
        }

        public Results(Runtime runtime, Load load, Latency latency, Memory memory, Outputs outputs,
                List<OperatorTime> profile, Energy energy) {
            this(runtime, load, latency, memory, outputs, profile, energy, null);
        }
    }

    /** The runtime and how it ran the model. A count is null if the runtime does not report it. */
    public record Runtime(String name, String version, Delegate delegateRequested, String delegateUsed, int threads,
            Integer nodesTotal, Integer nodesDelegated, Integer partitions) {
        /** The same runtime with what a delegate was seen to run. */
        public Runtime ran(String used, int total, int delegated, Integer parts) {
            return new Runtime(name, version, delegateRequested, used, threads, total, delegated, parts);
        }
    }

    /** The time of the first load in this process, and of further loads of the same file. */
    public record Load(long firstNs, long[] warmNs) {}

    /** Every call, in order. With a stride, {@code atNs} has the start time of each sample. */
    public record Latency(long firstNs, long[] warmupNs, long[] samplesNs, long[] atNs) {}

    /** How a generation ended: with the tokens that were asked for, or with one that ends the text. */
    public enum Ending { LENGTH, END }

    /**
     * The raw times of one generation, in ns after {@code beginNs}, when the prompt was handed over.
     *
     * @param prefillNs when the prompt was evaluated; null if the runtime does not show it
     * @param tokensNs the time of each callback
     * @param tokens the new tokens as the runtime counts them
     */
    public record Generation(long beginNs, Long prefillNs, long[] tokensNs, int tokens, Ending ended) {
        /** The time to the last token. */
        long totalNs() {
            return tokensNs.length == 0 ? 0 : tokensNs[tokensNs.length - 1];
        }
    }

    /**
     * All generations of a launch, in order.
     *
     * @param chunks callbacks brought pieces of text, so that there are fewer than tokens
     * @param text the prompt was handed over as text
     */
    public record Generations(int promptTokens, Generation first, List<Generation> warmup, List<Generation> measured,
            boolean chunks, boolean text, Long contextTokens, Long cacheBytes, String cacheSource) {}

    /**
     * A time in which the runner waited ({@code idle}), or ran that many calls back to back ({@code load}).
     *
     * @param tokens how many tokens the calls generated; null for another network
     */
    public record EnergyBlock(String kind, long beganNs, long endedNs, long calls, Long tokens) {
        public EnergyBlock(String kind, long beganNs, long endedNs, long calls) {
            this(kind, beganNs, endedNs, calls, null);
        }
    }

    /**
     * The blocks of an energy pass. The host reads the counters.
     *
     * @param bootOffsetNs what to add to the times of the blocks to get the time since the device was switched on; null
     *     if unknown
     */
    public record Energy(List<EnergyBlock> blocks, Long bootOffsetNs) {}

    /**
     * Memory of the process at four moments, in bytes; {@code split} says what it consists of at each.
     *
     * @param mappedBytes the growth of pages mapped from files, from the baseline to the steady state; null if the
     *     kernel does not report them
     */
    public record Memory(String definition, long baselineBytes, long loadedBytes, long steadyBytes, Long peakBytes,
            Long retainedBytes, Long mappedBytes, List<MemorySplit> split) {}

    /** Resident and swapped memory at one moment, in bytes; null if the kernel does not report it. */
    public record MemorySplit(String at, Long anonymousBytes, Long fileBytes, Long sharedBytes, Long swapBytes,
            Long proportionalBytes) {}

    /** Describes {@code outputs.bin}. */
    public record Outputs(String file, int count, List<TensorSpec> tensors) {}

    /**
     * The times of one operator over the calls of the profile pass.
     *
     * @param ranOn the delegate that ran it, by its name on the wire, or else the runtime's own word; empty if the
     *     runtime does not report it
     */
    public record OperatorTime(String name, String kind, String ranOn, long[] samplesNs) {}

    /** The state of the device at one moment. Facts that it does not report are null or empty. */
    public record StateSample(long atNs, String thermalStatus, Float thermalHeadroom, Map<String, Double> temperaturesC,
            List<Long> cpuKhz, String governor, Double load1m, Long availableBytes, Double batteryPercent,
            Boolean charging) {}

    /** The state of the device before and after the passes, and once per second in between. */
    public record States(StateSample before, StateSample after, List<StateSample> series) {}
}
