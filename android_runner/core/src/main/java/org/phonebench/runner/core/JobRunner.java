package org.phonebench.runner.core;

import java.io.IOException;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.security.GeneralSecurityException;
import java.util.ArrayList;
import java.util.Collections;
import java.util.List;
import java.util.Optional;

/**
 * Runs one job from request to reply: checks the artifact, starts the runtime, loads, and runs the passes in order.
 *
 * <p>Every outcome becomes a reply, which keeps what was measured before a failure. The memory pass releases the model
 * to measure what is left. So the passes after it load the file again, which also gives a warm load time.
 */
public final class JobRunner {
    private static final int MOST_FRAMES = 20;

    private final Iterable<RuntimeAdapter> adapters;
    private final RunReply.Runner info;
    private final StateSource state;
    private final TrustedKey trusted;
    private final RecipientKey.Keystore keystore;
    private final LatencyPass.Clock clock = new SystemClock();

    /**
     * A runner that runs any artifact if {@code trusted} is null, otherwise only what this key has signed. It decrypts
     * artifacts with the key in {@code keystore}; null if there is none.
     */
    public JobRunner(Iterable<RuntimeAdapter> adapters, RunReply.Runner info, StateSource state, TrustedKey trusted,
            RecipientKey.Keystore keystore) {
        this.adapters = adapters;
        this.info = info;
        this.state = state;
        this.trusted = trusted;
        this.keystore = keystore;
    }

    /** A step before the first pass that can refuse the whole launch, such as binding it to some cores. */
    public interface Preparation {
        void run() throws RunFailure;
    }

    /** Keeps a reply that the returned one replaces. */
    public interface Interim {
        void keep(RunReply reply);
    }

    /** Run the job. It writes {@code outputs.bin}, but leaves {@code reply.json} to the caller. */
    public RunReply run(JobPlace place, Preparation preparation) {
        return run(place, preparation, reply -> { });
    }

    /**
     * Run the job as above. Once everything is measured, what is left only looks at the delegate and at single
     * operators, in a second session. A driver may crash there, so what was measured is kept before.
     */
    public RunReply run(JobPlace place, Preparation preparation, Interim interim) {
        String text = "";
        RunRequest request;
        try {
            text = new String(Files.readAllBytes(place.request()), StandardCharsets.UTF_8);
            request = RequestReader.read(text);
        } catch (IOException | RequestException error) {
            return unreadable(RequestReader.head(text), error);
        }
        RunReply.StateSample before = state.sample();
        StateWatch watch = StateWatch.start(state, StateWatch.PERIOD_MS);
        Progress done = new Progress();
        Runnable keep = () -> interim.keep(new RunReply(request.cell(), request.launch(), RunReply.Status.OK, info,
            null, done.results(), new RunReply.States(before, state.sample(), Collections.emptyList())));
        RunFailure failure = attempt(place, request, preparation, done, keep);
        List<RunReply.StateSample> series = watch.stop();
        RunReply.Status status = failure == null ? RunReply.Status.OK
            : failure.unsupported() ? RunReply.Status.UNSUPPORTED : RunReply.Status.FAILED;
        return new RunReply(request.cell(), request.launch(), status, info, record(failure), done.results(),
            new RunReply.States(before, state.sample(), series),
            done.recipient == null ? null : done.recipient.described());
    }

    /** Run everything and return the failure that ended it, or null. */
    private RunFailure attempt(JobPlace place, RunRequest request, Preparation preparation, Progress done,
            Runnable keep) {
        try {
            // First, because the reply states the key even if it says nothing else.
            done.files = files(place, request.artifact(), done);
            preparation.run();
            new Launch(place, request, done, keep).run();
            return null;
        } catch (RunFailure failure) {
            return failure;
        } catch (OutOfMemoryError error) {
            return RunFailure.failed(FailureKind.OOM,
                "the runner ran out of memory: free some, or run a smaller model", error);
        } catch (Throwable error) {
            // The last resort: what no adapter expected, a StackOverflowError too, must still become a reply.
            return RunFailure.failed(FailureKind.RUN, "the runner failed: " + error, error);
        } finally {
            releaseQuietly(done);
            deleteQuietly(place);
        }
    }

    /** The files of the artifact, which are read when they are opened. */
    private ArtifactFiles files(JobPlace place, RunRequest.Artifact artifact, Progress done) throws RunFailure {
        if (artifact.encryption() == null) {
            return new StoredFiles(place, artifact, trusted != null);
        }
        done.recipient = recipient();
        if (!done.recipient.id().equals(artifact.encryption().recipient())) {
            throw RunFailure.failed(FailureKind.DIGEST, "the artifact '" + artifact.file()
                + "' is not encrypted for the key of this phone: encrypt it for the key in this reply");
        }
        return new EncryptedFiles(place, artifact, done.recipient);
    }

    private RecipientKey recipient() throws RunFailure {
        try {
            if (keystore != null) {
                return new RecipientKey(keystore.pair());
            }
        } catch (GeneralSecurityException | IOException | RuntimeException error) {
            throw RunFailure.unsupported(FailureKind.DIGEST,
                "this phone's keystore cannot make or read a key: " + RunFailure.firstLine(error), error);
        }
        throw RunFailure.unsupported(FailureKind.DIGEST, "this runner has no keystore");
    }

    /** Release the model at the end. A runtime that fails in this changes nothing about what was measured. */
    private static void releaseQuietly(Progress done) {
        try {
            done.release();
        } catch (RuntimeException error) {
            done.session = null;
        }
    }

    /** Delete the plain files of a launch that ends in an unexpected way. */
    private static void deleteQuietly(JobPlace place) {
        try {
            new PlainFiles(place.folder()).delete();
        } catch (IOException error) {
            // The host deletes the job, and the next launch what is left of it.
        }
    }

    /** The reply to a job that ended with an error outside of {@link #run}, with all that its request still says. */
    public RunReply failed(JobPlace place, Throwable error) {
        deleteQuietly(place);
        RequestReader.Head head = new RequestReader.Head("", 0);
        try {
            head = RequestReader.head(new String(Files.readAllBytes(place.request()), StandardCharsets.UTF_8));
        } catch (IOException unreadable) {
            // The reply says less, but it says why.
        }
        boolean memory = error instanceof OutOfMemoryError;
        RunReply.Failure failure = new RunReply.Failure(memory ? FailureKind.OOM : FailureKind.RUN,
            "the runner failed: " + error, trace(error));
        return new RunReply(head.cell(), head.launch(), RunReply.Status.FAILED, info, failure,
            new Progress().results(), null);
    }

    private static String trace(Throwable error) {
        StringBuilder text = new StringBuilder(error.toString());
        StackTraceElement[] frames = error.getStackTrace();
        for (int at = 0; at < Math.min(frames.length, MOST_FRAMES); at++) {
            text.append("\n    at ").append(frames[at]);
        }
        return text.toString();
    }

    private static RunReply.Failure record(RunFailure failure) {
        return failure == null ? null
            : new RunReply.Failure(failure.kind(), String.valueOf(failure.getMessage()), failure.detail());
    }

    private RunReply unreadable(RequestReader.Head head, Exception error) {
        RunReply.Failure failure = new RunReply.Failure(
            FailureKind.INPUT, "cannot read " + JobPlace.REQUEST + ": " + error.getMessage(), error.toString());
        return new RunReply(head.cell(), head.launch(), RunReply.Status.FAILED, info, failure,
            new Progress().results(), null);
    }

    /** The results so far. */
    private static final class Progress {
        private RunReply.Runtime runtime;
        private final List<Long> loadsNs = new ArrayList<>();
        private LatencyPass latency;
        private LanguageLaunch language;
        private RunReply.EnergyBlock idle;
        private Long bootOffsetNs;
        private RunReply.Memory memory;
        private RunReply.Outputs outputs;
        private List<RunReply.OperatorTime> profile = Collections.emptyList();
        private Session session;
        private RecipientKey recipient;
        private ArtifactFiles files;

        RunReply.Results results() {
            RunReply.Load load = null;
            if (!loadsNs.isEmpty()) {
                long[] warm = new long[loadsNs.size() - 1];
                for (int at = 0; at < warm.length; at++) {
                    warm[at] = loadsNs.get(at + 1);
                }
                load = new RunReply.Load(loadsNs.get(0), warm);
            }
            RunReply.Latency timed = latency == null ? null : latency.reply();
            if (language != null) {
                return new RunReply.Results(runtime, load, language.latency(), memory, outputs, profile, energy(),
                    language.reply());
            }
            return new RunReply.Results(runtime, load, timed, memory, outputs, profile, energy());
        }

        private RunReply.Energy energy() {
            if (idle == null) {
                return null;
            }
            List<RunReply.EnergyBlock> blocks = new ArrayList<>();
            blocks.add(idle);
            if (latency != null) {
                blocks.add(latency.load());
            } else if (language != null && language.load() != null) {
                blocks.add(language.load());
            }
            return new RunReply.Energy(blocks, bootOffsetNs);
        }

        void release() {
            if (language != null) {
                language.close();
            }
            if (session != null) {
                session.close();
                session = null;
            }
        }
    }

    /** The steps of one launch. */
    private final class Launch {
        private final JobPlace place;
        private final RunRequest request;
        private final Progress done;
        private final Runnable keep;
        private Optional<List<TensorSpec>> specs = Optional.empty();

        Launch(JobPlace place, RunRequest request, Progress done, Runnable keep) {
            this.place = place;
            this.request = request;
            this.done = done;
            this.keep = keep;
        }

        void run() throws RunFailure {
            RunRequest.Passes passes = request.passes();
            if (trusted != null) {
                trusted.check(request.artifact());
            }
            // Checked, and decrypted, before anything is timed or any memory is read.
            done.files.open();
            JobInputs inputs = JobInputs.checked(place, request);
            RuntimeAdapter adapter = adapter();
            adapter.start(request.runtime());
            if (passes.ofLanguage()) {
                language(adapter, inputs);
                return;
            }
            // Allocate the latency buffers before the first memory reading, or they would count as the model's memory.
            LatencyPass latency =
                passes.latency() == null ? null : new LatencyPass(passes.latency(), clock, place.folder());
            MemoryPass memory = passes.memory() == null ? null : MemoryPass.begin(MemoryProbe.SELF, clock);
            load(adapter);
            if (memory != null) {
                memory.loaded();
            }
            done.runtime = done.session.report();
            done.session.setInputs(inputs.forModel(0, done.session.inputs()));
            // Report again: inputs fix open dimensions, after which a delegate may take other nodes.
            done.runtime = done.session.report();
            idle();
            if (latency != null) {
                latency.run(done.session::invoke);
                done.latency = latency;
            }
            if (memory != null) {
                done.memory = memory.finish(done.session::invoke, done.session::close, passes.memory());
            }
            outputsAndProfile(adapter, inputs);
        }

        /** The passes of a language model. */
        private void language(RuntimeAdapter adapter, JobInputs inputs) throws RunFailure {
            RunRequest.Passes passes = request.passes();
            LanguageLaunch launch = new LanguageLaunch(request, inputs, clock);
            done.language = launch;
            boolean reads = passes.memory() != null && passes.generate() != null;
            MemoryPass memory = reads ? MemoryPass.begin(MemoryProbe.SELF, clock) : null;
            loadLanguage(adapter);
            if (memory != null) {
                memory.loaded();
            }
            if (passes.generate() != null) {
                idle();
                launch.generate();
            }
            if (memory != null) {
                done.memory = memory.finish(launch::generateUntimed, launch::close, passes.memory());
            }
            if (passes.score() != null) {
                if (memory != null) {
                    loadLanguage(adapter);
                }
                done.outputs = launch.score(place.folder(), passes.score().count());
            }
        }

        private void loadLanguage(RuntimeAdapter adapter) throws RunFailure {
            Path artifact = done.files.open();
            try {
                long start = clock.nanos();
                LanguageSession loaded = adapter.loadLanguage(artifact, request);
                done.loadsNs.add(clock.nanos() - start);
                done.runtime = done.language.begin(loaded);
            } finally {
                done.files.close();
            }
        }

        /** The idle block of an energy pass, if one is requested. */
        private void idle() {
            if (request.passes().energy() != null) {
                Long bootNs = state.bootNanos();
                done.bootOffsetNs = bootNs == null ? null : bootNs - clock.nanos();
                done.idle = idleBlock(request.passes().energy());
            }
        }

        /** Wait, so that the device draws what it draws when it does nothing. */
        private RunReply.EnergyBlock idleBlock(RunRequest.Energy energy) {
            clock.sleep(energy.settleNs());
            long began = clock.nanos();
            clock.sleep(energy.idleNs());
            return new RunReply.EnergyBlock("idle", began, clock.nanos(), 0);
        }

        private void outputsAndProfile(RuntimeAdapter adapter, JobInputs inputs) throws RunFailure {
            RunRequest.Passes passes = request.passes();
            if (passes.outputs() != null) {
                if (passes.memory() != null) {
                    load(adapter);
                }
                done.outputs = JobOutputs.write(place.folder(), done.session, inputs, passes.outputs().count());
            }
            boolean looks = request.runtime().delegate() != Delegate.CPU && passes.latency() != null;
            if (looks || passes.profile() != null) {
                keep.run();
            }
            if (looks) {
                observe(adapter, inputs);
            }
            if (passes.profile() != null) {
                // In the model's order, which only a loaded model knows.
                List<Tensor> first = inputs.forModel(0, specs);
                done.release();
                try {
                    done.profile = adapter.profile(done.files.open(), request, first, place.folder());
                } finally {
                    done.files.close();
                }
            }
        }

        /** Find out what the delegate ran. A runtime that fails in this costs nothing of what was measured. */
        private void observe(RuntimeAdapter adapter, JobInputs inputs) throws RunFailure {
            List<Tensor> first = inputs.forModel(0, specs);
            done.release();
            Path artifact = done.files.open();
            try {
                done.runtime = adapter.observed(artifact, request, first, place.folder(), done.runtime);
            } catch (RunFailure unknown) {
                // The counts stay null, which means unknown.
            } finally {
                done.files.close();
            }
        }

        private void load(RuntimeAdapter adapter) throws RunFailure {
            done.release();
            Path artifact = done.files.open();
            try {
                long start = clock.nanos();
                done.session = adapter.load(artifact, request.runtime());
                done.loadsNs.add(clock.nanos() - start);
            } finally {
                done.files.close();
            }
            specs = done.session.inputs();
        }

        private RuntimeAdapter adapter() throws RunFailure {
            StringBuilder formats = new StringBuilder();
            for (RuntimeAdapter adapter : adapters) {
                if (adapter.format().equals(request.artifact().format())) {
                    return adapter;
                }
                formats.append(formats.length() == 0 ? "" : ", ").append(adapter.format());
            }
            throw RunFailure.unsupported(FailureKind.LOAD, "this runner has no runtime for "
                + request.artifact().format() + " (it has those for: " + formats + ")");
        }
    }
}
