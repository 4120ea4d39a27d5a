package org.phonebench.runner;

import static org.junit.Assert.assertEquals;
import static org.junit.Assert.assertFalse;
import static org.junit.Assert.assertNull;
import static org.junit.Assert.assertTrue;

import android.content.Context;
import android.content.Intent;
import android.net.Uri;
import android.os.Build;
import android.os.Looper;
import java.io.ByteArrayInputStream;
import java.io.ByteArrayOutputStream;
import java.io.FileNotFoundException;
import java.io.OutputStream;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.nio.file.Paths;
import java.util.HashMap;
import java.util.Map;
import org.json.JSONObject;
import org.junit.Before;
import org.junit.Test;
import org.junit.runner.RunWith;
import org.phonebench.runner.core.Digest;
import org.phonebench.runner.core.LoopJob;
import org.robolectric.Robolectric;
import org.robolectric.RobolectricTestRunner;
import org.robolectric.RuntimeEnvironment;
import org.robolectric.Shadows;
import org.robolectric.annotation.Config;

/** A scenario of a game loop on Android's real classes: from the intent of Test Lab to the file that it gives. */
@RunWith(RobolectricTestRunner.class)
@Config(sdk = 34, manifest = Config.NONE, application = RunnerApp.class)
public final class TestLoopActivityTest {
    private static final Map<String, byte[]> ASSETS = new HashMap<>();
    private static final Uri RESULT = Uri.parse("content://testlab/results_scenario_1.json");

    /** The activity with files of this test inside, which counts instead of ending the process. */
    public static final class Observed extends TestLoopActivity {
        private int ended;

        @Override
        protected void endProcess() {
            ended++;
        }

        @Override
        protected LoopJob.Source source() {
            return path -> {
                if (!ASSETS.containsKey(path)) {
                    throw new FileNotFoundException(path);
                }
                return new ByteArrayInputStream(ASSETS.get(path));
            };
        }
    }

    private final Context context = RuntimeEnvironment.getApplication();
    private final ByteArrayOutputStream given = new ByteArrayOutputStream();

    @Before
    public void aJobInTheApp() throws Exception {
        ASSETS.clear();
        JSONObject request = new JSONObject(new String(
            Files.readAllBytes(Paths.get("../../tests/golden/wire/request-minimal.json")), StandardCharsets.UTF_8));
        byte[] model = "model".getBytes(StandardCharsets.UTF_8);
        request.getJSONObject("artifact").put("sha256", stored(model));
        request.getJSONObject("inputs").put("sha256", stored(new byte[4 * 64]));
        request.put("passes", new JSONObject("{\"outputs\":{\"count\":1},\"latency\":{\"warmup\":{\"min_calls\":0,"
            + "\"min_ns\":0},\"measure\":{\"min_calls\":3,\"min_ns\":0,\"max_ns\":1000000000}}}"));
        ASSETS.put("phonebench/1.json", request.toString().getBytes(StandardCharsets.UTF_8));
        ASSETS.put("phonebench/loop.properties", "job=job-7\nrest_ms=0\n".getBytes(StandardCharsets.UTF_8));
        Shadows.shadowOf(context.getContentResolver()).registerOutputStream(RESULT, given);
    }

    private static String stored(byte[] data) {
        ASSETS.put("phonebench/store/" + Digest.of(data), data);
        return Digest.of(data);
    }

    private Observed started(int scenario, Uri result) throws InterruptedException {
        Intent intent = new Intent("com.google.intent.action.TEST_LOOP").setClass(context, Observed.class)
            .setDataAndType(result, "application/javascript").putExtra("scenario", scenario);
        Observed activity = Robolectric.buildActivity(Observed.class, intent).create().start().resume().get();
        Measurement measurement = ((RunnerApp) context).measurement();
        if (measurement != null) {
            measurement.worker().join();
        }
        Shadows.shadowOf(Looper.getMainLooper()).idle();
        return activity;
    }

    private Path pulled() {
        return context.getExternalFilesDir(null).toPath().resolve("jobs/job-7-1/result.json");
    }

    @Test
    public void aScenarioMeasuresHandsOverItsResultAndEnds() throws Exception {
        Path older = Files.createDirectories(context.getExternalFilesDir(null).toPath().resolve("jobs/job-7-0"));
        Observed activity = started(1, RESULT);
        JSONObject result = new JSONObject(given.toString("UTF-8"));
        assertEquals("job-7", result.getString("job"));
        assertEquals(1, result.getInt("scenario"));
        assertEquals(Digest.of(ASSETS.get("phonebench/1.json")), result.getString("request_sha256"));
        assertEquals(result.toString(), "ok", result.getJSONObject("reply").getString("status"));
        assertEquals(3, result.getJSONObject("reply").getJSONObject("latency").getJSONArray("samples_ns").length());
        assertEquals(Digest.of(new byte[4 * 64]), result.getString("outputs_sha256"));
        assertEquals(Build.MODEL, result.getJSONObject("device").getString("model"));
        assertTrue(activity.isFinishing());
        assertEquals(1, activity.ended);
        // The second way out, which may be pulled after the test.
        String text = new String(Files.readAllBytes(pulled()), StandardCharsets.UTF_8);
        assertEquals(result.getJSONObject("reply").getJSONObject("latency").toString(),
            new JSONObject(text).getJSONObject("reply").getJSONObject("latency").toString());
        assertTrue("the launches of a job are pulled together", Files.exists(older));
    }

    @Test
    public void withoutAFileToWriteToTheResultIsOnSharedStorage() throws Exception {
        Shadows.shadowOf(context.getContentResolver()).registerOutputStream(RESULT, new OutputStream() {
            @Override
            public void write(int value) {
                throw new IllegalStateException("closed");
            }
        });
        started(1, RESULT);
        assertTrue(Files.exists(pulled()));
    }

    @Test
    public void aFileThatIsMissingInTheAppIsAReply() throws Exception {
        ASSETS.remove("phonebench/store/" + Digest.of("model".getBytes(StandardCharsets.UTF_8)));
        Observed activity = started(1, RESULT);
        JSONObject reply = new JSONObject(given.toString("UTF-8")).getJSONObject("reply");
        assertEquals("failed", reply.getString("status"));
        assertEquals("digits-fp32-onnx-cpu-t1-host-quick", reply.getString("cell"));
        assertEquals(1, activity.ended);
    }

    @Test
    public void aScenarioThatTheAppDoesNotCarryMeasuresNothing() throws Exception {
        Observed activity = started(2, RESULT);
        assertNull(((RunnerApp) context).measurement());
        assertEquals(1, activity.ended);
        assertEquals(0, given.size());
        assertFalse(Files.exists(pulled()));
    }
}
