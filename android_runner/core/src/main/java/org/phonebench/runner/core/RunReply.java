package org.phonebench.runner.core;

import java.util.List;
import java.util.Map;

/** What one launch did. A pass that was not asked for, or did not get so far, is null. */
public record RunReply(String cell, int launch, Status status, Runner runner, Failure failure, Results results,
        States state) {
    /** How a launch ended. */
    public enum Status { OK, UNSUPPORTED, FAILED }

    /**
     * Which program measured; figures of unlike kinds are not compared.
     *
     * @param libraryPageBytes the pages that its native libraries are laid out for; null where that is not told
     */
    public record Runner(String kind, String version, boolean debuggable, Long libraryPageBytes) {}

    /** A sentence for people, and the evidence. */
    public record Failure(FailureKind kind, String message, String detail) {}

    /** What was measured, each part null until it is there. */
    public record Results(Runtime runtime, Load load, Latency latency, Memory memory, Outputs outputs,
            List<OperatorTime> profile) {}

    /** What the runtime was and what it did; a count is null where the runtime does not tell. */
    public record Runtime(String name, String version, Delegate delegateRequested, String delegateUsed, int threads,
            Integer nodesTotal, Integer nodesDelegated, Integer partitions) {}

    /** First load in this process, and further loads of the same file. */
    public record Load(long firstNs, long[] warmNs) {}

    /** Every call, in order; {@code atNs} has one moment a sample when a stride was asked for. */
    public record Latency(long firstNs, long[] warmupNs, long[] samplesNs, long[] atNs) {}

    /**
     * Memory of the process at four moments, in bytes; {@code split} says what it was made of at each.
     *
     * @param mappedBytes what the pages mapped from files grew from the baseline to the steady state; null where it
     *     is not told
     */
    public record Memory(String definition, long baselineBytes, long loadedBytes, long steadyBytes, Long peakBytes,
            Long retainedBytes, Long mappedBytes, List<MemorySplit> split) {}

    /** What is resident and swapped out at one moment, in bytes; null where the kernel does not tell. */
    public record MemorySplit(String at, Long anonymousBytes, Long fileBytes, Long sharedBytes, Long swapBytes,
            Long proportionalBytes) {}

    /** Describes {@code outputs.bin}. */
    public record Outputs(String file, int count, List<TensorSpec> tensors) {}

    /** Times of one operator over the calls of the profile pass. */
    public record OperatorTime(String name, String kind, long[] samplesNs) {}

    /** The device's state at one moment; a fact that it does not tell is null or empty. */
    public record StateSample(long atNs, String thermalStatus, Float thermalHeadroom, Map<String, Double> temperaturesC,
            List<Long> cpuKhz, String governor, Double load1m, Long availableBytes, Double batteryPercent,
            Boolean charging) {}

    /** The device before and after the passes, and once a second between. */
    public record States(StateSample before, StateSample after, List<StateSample> series) {}
}
