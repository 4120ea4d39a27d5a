package org.phonebench.runner;

import static org.junit.Assert.assertArrayEquals;
import static org.junit.Assert.assertEquals;
import static org.junit.Assert.assertFalse;
import static org.junit.Assert.assertNotEquals;
import static org.junit.Assert.assertNull;
import static org.junit.Assert.assertTrue;

import android.content.Context;
import android.content.Intent;
import android.os.Build;
import android.os.Looper;
import android.view.WindowManager;
import java.math.BigInteger;
import java.nio.ByteBuffer;
import java.nio.ByteOrder;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.nio.file.Paths;
import java.security.MessageDigest;
import java.util.zip.ZipEntry;
import java.util.zip.ZipOutputStream;
import org.json.JSONObject;
import org.junit.Before;
import org.junit.Rule;
import org.junit.Test;
import org.junit.rules.TemporaryFolder;
import org.junit.runner.RunWith;
import org.robolectric.Robolectric;
import org.robolectric.RobolectricTestRunner;
import org.robolectric.RuntimeEnvironment;
import org.robolectric.Shadows;
import org.robolectric.annotation.Config;

/** The activity on Android's real classes: from the intent to the file of the reply. */
@RunWith(RobolectricTestRunner.class)
@Config(sdk = 34, manifest = Config.NONE)
public final class RunnerActivityTest {
    /** The activity, except that it counts instead of ending the process, in which the tests run. */
    public static final class Observed extends RunnerActivity {
        private int ended;

        @Override
        protected void endProcess() {
            ended++;
        }
    }

    @Rule
    public final TemporaryFolder store = new TemporaryFolder();
    private final Context context = RuntimeEnvironment.getApplication();
    private String inputs;

    @Before
    public void aJob() throws Exception {
        JSONObject request = new JSONObject(new String(
            Files.readAllBytes(Paths.get("../../tests/golden/wire/request-minimal.json")), StandardCharsets.UTF_8));
        inputs = stored(new byte[4 * 64]);
        request.getJSONObject("artifact").put("sha256", stored("model".getBytes(StandardCharsets.UTF_8)));
        request.put("passes", new JSONObject("{\"outputs\":{\"count\":1},\"latency\":{\"warmup\":{\"min_calls\":0,"
            + "\"min_ns\":0},\"measure\":{\"min_calls\":3,\"min_ns\":0,\"max_ns\":1000000000}}}"));
        Path folder = Files.createDirectories(Jobs.folder(context, "job-1"));
        Files.write(folder.resolve("request.json"), request.toString().getBytes(StandardCharsets.UTF_8));
    }

    private String stored(byte[] data) throws Exception {
        String sha256 = String.format("%064x", new BigInteger(1, MessageDigest.getInstance("SHA-256").digest(data)));
        Files.write(store.getRoot().toPath().resolve(sha256), data);
        return sha256;
    }

    private Intent intent() {
        return new Intent(context, Observed.class).putExtra("job", "job-1").putExtra("inputs", inputs)
            .putExtra("store", store.getRoot().toString());
    }

    private Observed launched(Intent intent) throws InterruptedException {
        Observed activity = Robolectric.buildActivity(Observed.class, intent).create().start().resume().get();
        if (activity.worker() != null) {
            activity.worker().join();
        }
        Shadows.shadowOf(Looper.getMainLooper()).idle();
        return activity;
    }

    private JSONObject reply() throws Exception {
        Path file = Jobs.folder(context, "job-1").resolve("reply.json");
        return new JSONObject(new String(Files.readAllBytes(file), StandardCharsets.UTF_8));
    }

    @Test
    public void aLaunchMeasuresRepliesAndEnds() throws Exception {
        Observed activity = launched(intent());
        JSONObject reply = reply();
        assertEquals(reply.toString(), "ok", reply.getString("status"));
        assertEquals("android-app", reply.getJSONObject("runner").getString("kind"));
        assertEquals(3, reply.getJSONObject("latency").getJSONArray("samples_ns").length());
        assertArrayEquals(new byte[4 * 64],
            Files.readAllBytes(Jobs.folder(context, "job-1").resolve("outputs.bin")));
        assertTrue(activity.isFinishing());
        assertEquals(1, activity.ended);
    }

    @Test
    public void theReplyTellsWhatTheLibrariesInItsOwnApkAreLaidOutFor() throws Exception {
        // The header of a 64-bit library with one loadable segment, aligned to 16 KB.
        ByteBuffer elf = ByteBuffer.allocate(120).order(ByteOrder.LITTLE_ENDIAN).putInt(0, 0x464c457f).put(4, (byte) 2);
        elf.putLong(32, 64).putShort(54, (short) 56).putShort(56, (short) 1).putInt(64, 1).putLong(112, 16384);
        Path apk = store.getRoot().toPath().resolve("base.apk");
        try (ZipOutputStream zip = new ZipOutputStream(Files.newOutputStream(apk))) {
            zip.putNextEntry(new ZipEntry("lib/" + Build.SUPPORTED_ABIS[0] + "/lib.so"));
            zip.write(elf.array());
        }
        context.getApplicationInfo().sourceDir = apk.toString();
        launched(intent());
        assertEquals(16384, reply().getJSONObject("runner").getLong("library_page_bytes"));
    }

    @Test
    public void theScreenStaysOnAndTheUiThreadIsFree() throws Exception {
        Observed activity = launched(intent());
        int flags = activity.getWindow().getAttributes().flags;
        assertNotEquals(0, flags & WindowManager.LayoutParams.FLAG_KEEP_SCREEN_ON);
        assertNotEquals(Looper.getMainLooper().getThread(), activity.worker());
        assertEquals("phonebench-worker", activity.worker().getName());
    }

    @Test
    public void theRequestMayLieElsewhere() throws Exception {
        Path elsewhere = store.getRoot().toPath().resolve("job-1.request.json");
        Files.move(Jobs.folder(context, "job-1").resolve("request.json"), elsewhere);
        launched(intent().putExtra("request", elsewhere.toString()));
        assertEquals("ok", reply().getString("status"));
    }

    @Test
    public void coresThatCannotBeHadAreAReply() throws Exception {
        launched(intent().putExtra("mask", "f0"));
        JSONObject reply = reply();
        assertEquals("unsupported", reply.getString("status"));
        assertTrue(reply.getJSONObject("failure").getString("message").contains("to the cores f0"));
    }

    @Test
    public void anIntentThatNamesNoJobEndsWithoutOne() throws Exception {
        Observed activity = launched(new Intent(context, Observed.class).putExtra("job", "../x"));
        assertNull(activity.worker());
        assertEquals(1, activity.ended);
        assertFalse(Files.exists(Jobs.folder(context, "job-1").resolve("reply.json")));
    }

    @Test
    public void theStateOfThePhoneIsInTheReply() throws Exception {
        launched(intent());
        JSONObject after = reply().getJSONObject("state").getJSONObject("after");
        assertTrue(after.getLong("available_bytes") > 0);
        assertEquals("none", after.getString("thermal_status"));
    }
}
