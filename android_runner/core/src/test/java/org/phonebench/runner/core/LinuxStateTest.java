package org.phonebench.runner.core;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertNull;
import static org.junit.jupiter.api.Assertions.assertTrue;

import java.io.IOException;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.Arrays;
import java.util.Collections;
import java.util.List;
import java.util.Map;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;

final class LinuxStateTest {
    @TempDir
    Path root;

    private void write(String name, String text) throws IOException {
        Path path = root.resolve(name);
        Files.createDirectories(path.getParent());
        Files.write(path, text.getBytes(StandardCharsets.UTF_8));
    }

    @Test
    void theFactsOfProcAndSysAreRead() throws Exception {
        write("proc/loadavg", "1.25 0.50 0.10 1/100 4000\n");
        write("proc/meminfo", "MemTotal: 100 kB\nMemAvailable:  2048 kB\n");
        for (int core = 0; core < 11; core++) {
            write("sys/devices/system/cpu/cpu" + core + "/cpufreq/scaling_cur_freq", 1000 + core + "\n");
        }
        write("sys/devices/system/cpu/cpu0/cpufreq/scaling_governor", "schedutil\n");
        write("sys/devices/system/cpu/cpuidle/x", "");
        RunReply.StateSample sample = new LinuxState(root).sample();
        assertEquals(1.25, sample.load1m());
        assertEquals(2048L << 10, sample.availableBytes());
        assertEquals("schedutil", sample.governor());
        assertEquals(1010L, sample.cpuKhz().get(10), "by number, not by name");
        assertNull(sample.batteryPercent());
    }

    @Test
    void aThermalZoneGoesByItsTypeAndASecondOfItByItsNumberToo() throws Exception {
        write("sys/class/thermal/thermal_zone0/type", "skin\n");
        write("sys/class/thermal/thermal_zone0/temp", "31500\n");
        write("sys/class/thermal/thermal_zone7/type", "skin\n");
        write("sys/class/thermal/thermal_zone7/temp", "-1000\n");
        write("sys/class/thermal/thermal_zone8/temp", "broken\n");
        Map<String, Double> found = new LinuxState(root).sample().temperaturesC();
        assertEquals(Arrays.asList("skin", "skin-thermal_zone7"), Arrays.asList(found.keySet().toArray()));
        assertEquals(31.5, found.get("skin"));
        assertEquals(-1.0, found.get("skin-thermal_zone7"));
    }

    @Test
    void aDeviceThatTellsNothingHasNoFacts() {
        RunReply.StateSample sample = new LinuxState(root).sample();
        assertNull(sample.load1m());
        assertNull(sample.governor());
        assertEquals(Collections.emptyList(), sample.cpuKhz());
        assertEquals(Collections.emptyMap(), sample.temperaturesC());
    }

    @Test
    void theWatchSamplesUntilItIsStopped() throws Exception {
        StateWatch watch = StateWatch.start(new LinuxState(root), 1);
        Thread.sleep(200);
        List<RunReply.StateSample> series = watch.stop();
        assertTrue(series.size() >= 2, "samples: " + series.size());
        assertTrue(series.get(1).atNs() > series.get(0).atNs());
    }
}
