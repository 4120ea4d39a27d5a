package org.phonebench.runner.core;

import java.io.ByteArrayOutputStream;
import java.io.IOException;
import java.io.InputStream;
import java.io.OutputStream;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.nio.file.StandardCopyOption;
import java.util.ArrayList;
import java.util.List;
import java.util.Properties;

/**
 * One launch whose request and files travel inside the app, for a phone that nobody can send anything to.
 *
 * <p>The app holds, below {@link #FOLDER}, {@code loop.properties}, the request of each launch ({@code 1.json},
 * {@code 2.json}, …) and the files under their digests ({@code store/<sha256>}).
 *
 * @param job the name of the job, the same for all of its launches
 * @param scenario the number of this launch in the job, from 1
 * @param restMs how long to rest before this launch measures
 * @param request the bytes of the request
 * @param inputs the digest of the inputs
 * @param files the digests of the files that this launch needs
 */
public record LoopJob(String job, int scenario, long restMs, byte[] request, String inputs, List<String> files) {
    public static final String FOLDER = "phonebench";

    private static final String STORE = "store";

    /** The files inside the app. */
    public interface Source {
        /** Open a file by its path below the root. */
        InputStream open(String path) throws IOException;
    }

    /** Read the launch of that number. Throws {@link IOException} that says what is missing or wrong. */
    public static LoopJob read(Source source, int scenario) throws IOException {
        Properties facts = new Properties();
        try (InputStream in = source.open(FOLDER + "/loop.properties")) {
            facts.load(in);
        }
        String job = facts.getProperty("job", "");
        if (!job.matches("[A-Za-z0-9_-]+")) {
            throw new IOException("the job's name is '" + job + "'; it must be a plain name");
        }
        byte[] request = all(source, FOLDER + "/" + scenario + ".json");
        try {
            RunRequest read = RequestReader.read(new String(request, StandardCharsets.UTF_8));
            List<String> files = new ArrayList<>();
            read.artifact().parts().forEach(part -> files.add(part.sha256()));
            if (read.inputs().sha256() == null) {
                throw new RequestException("its inputs have no digest");
            }
            files.add(read.inputs().sha256());
            long restMs = scenario == 1 ? 0 : Long.parseLong(facts.getProperty("rest_ms", "0"));
            return new LoopJob(job, scenario, restMs, request, read.inputs().sha256(), files);
        } catch (RequestException | NumberFormatException error) {
            throw new IOException("cannot read launch " + scenario + ": " + error.getMessage(), error);
        }
    }

    /** The name of this launch among all jobs of the phone. */
    public String name() {
        return job + "-" + scenario;
    }

    /** Where the files of this launch are, below the app's own folder. */
    public JobPlace place(Path own) {
        Path folder = own.resolve("jobs").resolve(name());
        return new JobPlace(folder, folder.resolve(JobPlace.REQUEST), own.resolve(STORE), inputs);
    }

    /** Write the request and the files to where {@link #place} says. A file of an earlier launch is used again. */
    public void unpack(Source source, JobPlace place) throws IOException {
        Files.createDirectories(place.folder());
        Files.createDirectories(place.store());
        Files.write(place.request(), request);
        for (String sha256 : files) {
            Path file = place.store().resolve(sha256);
            if (!Files.exists(file)) {
                Path part = place.store().resolve(sha256 + ".part");
                try (InputStream in = source.open(FOLDER + "/" + STORE + "/" + sha256);
                        OutputStream out = Files.newOutputStream(part)) {
                    copy(in, out);
                }
                Files.move(part, file, StandardCopyOption.ATOMIC_MOVE);
            }
        }
    }

    private static byte[] all(Source source, String path) throws IOException {
        ByteArrayOutputStream bytes = new ByteArrayOutputStream();
        try (InputStream in = source.open(path)) {
            copy(in, bytes);
        }
        return bytes.toByteArray();
    }

    private static void copy(InputStream in, OutputStream out) throws IOException {
        byte[] buffer = new byte[1 << 16];
        for (int read = in.read(buffer); read >= 0; read = in.read(buffer)) {
            out.write(buffer, 0, read);
        }
    }
}
