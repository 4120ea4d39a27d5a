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
import android.os.Bundle;
import android.os.Looper;
import android.view.WindowManager;
import java.io.ByteArrayInputStream;
import java.io.ByteArrayOutputStream;
import java.math.BigInteger;
import java.nio.ByteBuffer;
import java.nio.ByteOrder;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.nio.file.Paths;
import java.security.MessageDigest;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.Base64;
import java.util.Collections;
import java.util.List;
import java.util.concurrent.CountDownLatch;
import java.util.concurrent.TimeUnit;
import java.util.zip.GZIPInputStream;
import java.util.zip.ZipEntry;
import java.util.zip.ZipOutputStream;
import org.json.JSONObject;
import org.junit.After;
import org.junit.Before;
import org.junit.Rule;
import org.junit.Test;
import org.junit.rules.TemporaryFolder;
import org.junit.runner.RunWith;
import org.robolectric.Robolectric;
import org.robolectric.RobolectricTestRunner;
import org.robolectric.RuntimeEnvironment;
import org.robolectric.Shadows;
import org.robolectric.android.controller.ActivityController;
import org.robolectric.annotation.Config;
import org.robolectric.shadows.ShadowLog;

/** The activity on Android's real classes: from the intent to the file of the reply. */
@RunWith(RobolectricTestRunner.class)
@Config(sdk = 34, manifest = Config.NONE, application = RunnerApp.class)
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

    @After
    public void noCallsAreWatched() {
        FakeAdapter.duringACall = null;
    }

    private Observed launched(Intent intent) throws InterruptedException {
        Observed activity = Robolectric.buildActivity(Observed.class, intent).create().start().resume().get();
        finished();
        return activity;
    }

    private void finished() throws InterruptedException {
        if (worker() != null) {
            worker().join();
        }
        Shadows.shadowOf(Looper.getMainLooper()).idle();
    }

    private Thread worker() {
        Measurement measurement = ((RunnerApp) context).measurement();
        return measurement == null ? null : measurement.worker();
    }

    private Path shared() {
        return context.getExternalFilesDir(null).toPath().resolve("jobs");
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

    /** Robolectric has no provider of the name AndroidKeyStore. */
    @Test
    public void aPhoneWithoutAKeystoreSaysSoAndWhatACrashLeftInTheClearIsDeleted() throws Exception {
        Path left = Files.createDirectories(Jobs.folder(context, "crashed").resolve("plain")).resolve("model.onnx");
        Files.write(left, "model".getBytes(StandardCharsets.UTF_8));
        Path file = Jobs.folder(context, "job-1").resolve("request.json");
        JSONObject request = new JSONObject(new String(Files.readAllBytes(file), StandardCharsets.UTF_8));
        request.getJSONObject("artifact").put("encryption", new JSONObject());
        Files.write(file, request.toString().getBytes(StandardCharsets.UTF_8));
        launched(intent());
        assertFalse(Files.exists(left.getParent()));
        assertEquals("unsupported", reply().getString("status"));
        String message = reply().getJSONObject("failure").getString("message");
        assertTrue(message, message.startsWith("this phone's keystore cannot make or read a key: AndroidKeyStore"));
    }

    @Test
    public void theScreenStaysOnAndTheUiThreadIsFree() throws Exception {
        Observed activity = launched(intent());
        int flags = activity.getWindow().getAttributes().flags;
        assertNotEquals(0, flags & WindowManager.LayoutParams.FLAG_KEEP_SCREEN_ON);
        assertNotEquals(Looper.getMainLooper().getThread(), worker());
        assertEquals("phonebench-worker", worker().getName());
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
        assertNull(worker());
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

    @Test
    public void anActivityMadeAgainMeasuresNothingAndIsEndedInstead() throws Exception {
        CountDownLatch calling = new CountDownLatch(1);
        CountDownLatch goOn = new CountDownLatch(1);
        FakeAdapter.duringACall = () -> {
            calling.countDown();
            await(goOn);
        };
        ActivityController<Observed> first = Robolectric.buildActivity(Observed.class, intent()).create().resume();
        assertTrue(calling.await(30, TimeUnit.SECONDS));
        Thread measuring = worker();
        // As for a change of the configuration that the manifest does not name.
        Bundle state = new Bundle();
        first.saveInstanceState(state).pause().stop().destroy();
        Observed second =
            Robolectric.buildActivity(Observed.class, intent()).create(state).start().resume().get();
        assertEquals(measuring, worker());
        goOn.countDown();
        finished();
        assertEquals("ok", reply().getString("status"));
        assertEquals(3, reply().getJSONObject("latency").getJSONArray("samples_ns").length());
        assertEquals(1, second.ended);
        assertEquals(0, first.get().ended);
    }

    @Test
    public void aJobThatADeadProcessBeganIsNotMeasuredAgain() throws Exception {
        Files.createFile(Jobs.folder(context, "job-1").resolve("begun"));
        Observed activity = launched(intent());
        assertNull(worker());
        assertEquals(1, activity.ended);
        assertFalse(Files.exists(Jobs.folder(context, "job-1").resolve("reply.json")));
    }

    @Test
    public void anErrorInACallIsAReply() throws Exception {
        FakeAdapter.duringACall = () -> {
            throw new StackOverflowError("too deep");
        };
        Observed activity = launched(intent());
        assertTrue(reply().toString(), reply().getJSONObject("failure").getString("message").contains("too deep"));
        assertEquals(1, activity.ended);
    }

    @Test
    public void whatAThreadOfTheRuntimeThrowsIsAReplyBeforeTheProcessDies() throws Exception {
        Thread.UncaughtExceptionHandler before = Thread.getDefaultUncaughtExceptionHandler();
        List<Throwable> passedOn = Collections.synchronizedList(new ArrayList<>());
        Thread.setDefaultUncaughtExceptionHandler((thread, error) -> passedOn.add(error));
        try {
            FakeAdapter.duringACall = () -> {
                Thread other = new Thread(() -> {
                    throw new IllegalStateException("in a thread of its own");
                });
                other.start();
                join(other);
            };
            launched(intent());
            assertEquals("failed", reply().getString("status"));
            assertTrue(reply().getJSONObject("failure").getString("message").contains("in a thread of its own"));
            assertEquals(reply().getString("cell"), "digits-fp32-onnx-cpu-t1-host-quick");
            assertFalse(passedOn.isEmpty());
        } finally {
            Thread.setDefaultUncaughtExceptionHandler(before);
        }
    }

    @Test
    public void theReplyAndTheOutputsAreOnSharedStorageTooAndOlderOnesAreGone() throws Exception {
        Files.createDirectories(shared().resolve("older"));
        launched(intent());
        for (String name : Arrays.asList("reply.json", "outputs.bin")) {
            assertArrayEquals(Files.readAllBytes(Jobs.folder(context, "job-1").resolve(name)),
                Files.readAllBytes(shared().resolve("job-1").resolve(name)));
        }
        assertFalse(Files.exists(shared().resolve("older")));
    }

    @Test
    public void aReplyThatCannotBeWrittenIsOnSharedStorage() throws Exception {
        // A folder where the reply should be, as no user but root could forbid to write it.
        Files.createDirectories(Jobs.folder(context, "job-1").resolve("reply.json").resolve("in the way"));
        launched(intent());
        String text = new String(
            Files.readAllBytes(shared().resolve("job-1").resolve("reply.json")), StandardCharsets.UTF_8);
        assertEquals("ok", new JSONObject(text).getString("status"));
        assertTrue(logged().isEmpty());
    }

    @Test
    public void aReplyThatCannotBeWrittenAnywhereIsInTheLogWithItsDigest() throws Exception {
        Files.createDirectories(Jobs.folder(context, "job-1").resolve("reply.json").resolve("in the way"));
        Files.createDirectories(shared().getParent());
        Files.createFile(shared());
        launched(intent());
        JSONObject reply = new JSONObject(fromLog());
        assertEquals("ok", reply.getString("status"));
        assertEquals(3, reply.getJSONObject("latency").getJSONArray("samples_ns").length());
        assertTrue("its file cannot be fetched", reply.isNull("outputs"));
    }

    @Test
    public void theHostMayAskForTheReplyInTheLog() throws Exception {
        launched(intent().putExtra("log", true));
        assertEquals("ok", new JSONObject(fromLog()).getString("status"));
    }

    /** The parts of the reply that were logged, in order. */
    private static List<String[]> logged() {
        List<String[]> parts = new ArrayList<>();
        for (ShadowLog.LogItem item : ShadowLog.getLogsForTag("phonebench")) {
            if (item.msg.startsWith("reply job-1 ")) {
                parts.add(item.msg.split(" "));
            }
        }
        return parts;
    }

    private static String fromLog() throws Exception {
        StringBuilder data = new StringBuilder();
        List<String[]> parts = logged();
        for (int at = 0; at < parts.size(); at++) {
            assertEquals((at + 1) + "/" + parts.size(), parts.get(at)[2]);
            data.append(parts.get(at)[4]);
        }
        byte[] packed = Base64.getDecoder().decode(data.toString());
        ByteArrayOutputStream json = new ByteArrayOutputStream();
        try (GZIPInputStream in = new GZIPInputStream(new ByteArrayInputStream(packed))) {
            byte[] buffer = new byte[4096];
            for (int read = in.read(buffer); read >= 0; read = in.read(buffer)) {
                json.write(buffer, 0, read);
            }
        }
        byte[] digest = MessageDigest.getInstance("SHA-256").digest(json.toByteArray());
        assertEquals(String.format("%064x", new BigInteger(1, digest)), parts.get(0)[3]);
        return new String(json.toByteArray(), StandardCharsets.UTF_8);
    }

    private static void await(CountDownLatch latch) {
        try {
            assertTrue(latch.await(30, TimeUnit.SECONDS));
        } catch (InterruptedException error) {
            throw new IllegalStateException(error);
        }
    }

    private static void join(Thread thread) {
        try {
            thread.join();
        } catch (InterruptedException error) {
            throw new IllegalStateException(error);
        }
    }
}
