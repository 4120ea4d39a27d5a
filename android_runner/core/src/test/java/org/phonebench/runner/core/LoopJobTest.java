package org.phonebench.runner.core;

import static org.junit.jupiter.api.Assertions.assertArrayEquals;
import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertFalse;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;

import java.io.ByteArrayInputStream;
import java.io.ByteArrayOutputStream;
import java.io.FileNotFoundException;
import java.io.IOException;
import java.io.InputStream;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.Base64;
import java.util.Collections;
import java.util.HashMap;
import java.util.Map;
import org.json.JSONObject;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;

/** A job inside the app: what is read, what is unpacked, and what the file of the result holds. */
final class LoopJobTest {
    private static final byte[] MODEL = "model".getBytes(StandardCharsets.UTF_8);
    private static final byte[] INPUTS = new byte[4 * 64];

    @TempDir
    private Path own;
    private final Map<String, byte[]> assets = new HashMap<>();
    private JSONObject request;

    @BeforeEach
    void aJobOfTwoLaunches() throws Exception {
        request = Golden.json("request-minimal.json");
        request.getJSONObject("artifact").put("sha256", Digest.of(MODEL));
        request.getJSONObject("inputs").put("sha256", Digest.of(INPUTS));
        put("loop.properties", "job=job-1\nrest_ms=2500\n".getBytes(StandardCharsets.UTF_8));
        putRequest();
        put("store/" + Digest.of(MODEL), MODEL);
        put("store/" + Digest.of(INPUTS), INPUTS);
    }

    private void put(String name, byte[] data) {
        assets.put("phonebench/" + name, data);
    }

    private void putRequest() {
        put("1.json", request.toString().getBytes(StandardCharsets.UTF_8));
        put("2.json", request.toString().getBytes(StandardCharsets.UTF_8));
    }

    private InputStream open(String path) throws IOException {
        if (!assets.containsKey(path)) {
            throw new FileNotFoundException(path);
        }
        return new ByteArrayInputStream(assets.get(path));
    }

    @Test
    void theFilesOfALaunchAreUnpackedUnderTheirDigests() throws Exception {
        LoopJob job = LoopJob.read(this::open, 1);
        JobPlace place = job.place(own);
        job.unpack(this::open, place);
        assertEquals(own.resolve("jobs/job-1-1"), place.folder());
        assertArrayEquals(assets.get("phonebench/1.json"), Files.readAllBytes(place.request()));
        assertArrayEquals(MODEL, Files.readAllBytes(place.store().resolve(Digest.of(MODEL))));
        assertEquals(Digest.of(INPUTS), place.inputsSha256());
        assertArrayEquals(INPUTS, Files.readAllBytes(place.store().resolve(place.inputsSha256())));
    }

    @Test
    void aLaterLaunchUsesTheFilesOfTheFirstAndRestsBefore() throws Exception {
        LoopJob first = LoopJob.read(this::open, 1);
        first.unpack(this::open, first.place(own));
        assets.remove("phonebench/store/" + Digest.of(MODEL));
        LoopJob second = LoopJob.read(this::open, 2);
        second.unpack(this::open, second.place(own));
        assertEquals(0, first.restMs());
        assertEquals(2500, second.restMs());
        assertEquals("job-1-2", second.name());
    }

    @Test
    void whatCannotBeReadIsSaid() throws Exception {
        assertThrows(FileNotFoundException.class, () -> LoopJob.read(this::open, 3));
        request.getJSONObject("inputs").remove("sha256");
        putRequest();
        IOException undigested = assertThrows(IOException.class, () -> LoopJob.read(this::open, 1));
        assertTrue(undigested.getMessage().contains("its inputs have no digest"), undigested.getMessage());
        put("2.json", "{".getBytes(StandardCharsets.UTF_8));
        IOException torn = assertThrows(IOException.class, () -> LoopJob.read(this::open, 2));
        assertTrue(torn.getMessage().startsWith("cannot read launch 2"), torn.getMessage());
        put("loop.properties", "job=../x\n".getBytes(StandardCharsets.UTF_8));
        assertTrue(assertThrows(IOException.class, () -> LoopJob.read(this::open, 1)).getMessage()
            .contains("must be a plain name"));
    }

    @Test
    void aFileThatIsMissingLeavesNoHalfFile() throws Exception {
        assets.remove("phonebench/store/" + Digest.of(INPUTS));
        LoopJob job = LoopJob.read(this::open, 1);
        JobPlace place = job.place(own);
        assertThrows(FileNotFoundException.class, () -> job.unpack(this::open, place));
        assertFalse(Files.exists(place.store().resolve(Digest.of(INPUTS))));
    }

    @Test
    void theResultHoldsTheReplyTheOutputsAndWhichRequestWasRun() throws Exception {
        LoopJob job = LoopJob.read(this::open, 2);
        // Longer than a block of the encoder, and no multiple of three.
        byte[] outputs = new byte[100_000];
        for (int at = 0; at < outputs.length; at++) {
            outputs[at] = (byte) (at * 7);
        }
        Files.write(own.resolve("outputs.bin"), outputs);
        JSONObject result = written(job, new RunReply.Outputs("outputs.bin", 1, Collections.emptyList()));
        assertEquals(1, result.getInt("schema"));
        assertEquals("job-1", result.getString("job"));
        assertEquals(2, result.getInt("scenario"));
        assertEquals(Digest.of(assets.get("phonebench/2.json")), result.getString("request_sha256"));
        assertEquals("Pixel \"8\"", result.getJSONObject("device").getString("model"));
        assertEquals(Digest.of(outputs), result.getString("outputs_sha256"));
        assertArrayEquals(outputs, Base64.getDecoder().decode(result.getString("outputs")));
        assertEquals("ok", result.getJSONObject("reply").getString("status"));
        assertFalse(written(job, null).has("outputs"));
    }

    private JSONObject written(LoopJob job, RunReply.Outputs outputs) throws Exception {
        RunReply reply = new RunReply("cell", 1, RunReply.Status.OK,
            new RunReply.Runner("android-app", "1", false, null), null,
            new RunReply.Results(null, null, null, null, outputs, Collections.emptyList(), null), null);
        ByteArrayOutputStream out = new ByteArrayOutputStream();
        LoopResult.write(out, job, Collections.singletonMap("model", "Pixel \"8\""), reply, own);
        return new JSONObject(new String(out.toByteArray(), StandardCharsets.UTF_8));
    }
}
