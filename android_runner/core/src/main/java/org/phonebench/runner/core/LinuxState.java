package org.phonebench.runner.core;

import java.io.IOException;
import java.nio.charset.StandardCharsets;
import java.nio.file.DirectoryStream;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.Comparator;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;

/** Reads load, free memory, clocks and temperatures from {@code /proc} and {@code /sys} below {@code root}. */
public final class LinuxState implements StateSource {
    private final Path root;

    public LinuxState(Path root) {
        this.root = root;
    }

    @Override
    public RunReply.StateSample sample() {
        List<Path> processors = numbered(root.resolve("sys/devices/system/cpu"), "cpu[0-9]*", "cpu");
        return new RunReply.StateSample(System.nanoTime(), null, null, temperatures(), clocks(processors),
            governor(processors), load(), available(), null, null);
    }

    @Override
    public Long bootNanos() {
        String uptime = text(root.resolve("proc/uptime"));
        // Seconds, in hundredths.
        return uptime == null || !uptime.matches("[0-9]+\\.[0-9]+ .*") ? null
            : Math.round(Double.parseDouble(uptime.split(" ")[0]) * 1e9);
    }

    private List<Long> clocks(List<Path> processors) {
        List<Long> clocks = new ArrayList<>();
        for (Path processor : processors) {
            Long khz = integer(processor.resolve("cpufreq/scaling_cur_freq"));
            if (khz != null) {
                clocks.add(khz);
            }
        }
        return clocks;
    }

    private static String governor(List<Path> processors) {
        return processors.isEmpty() ? null : text(processors.get(0).resolve("cpufreq/scaling_governor"));
    }

    /** Temperatures in °C by the type of the thermal zone. A repeated type gets the zone's name as a suffix. */
    private Map<String, Double> temperatures() {
        Map<String, Double> temperatures = new LinkedHashMap<>();
        for (Path zone : numbered(root.resolve("sys/class/thermal"), "thermal_zone*", "thermal_zone")) {
            Long value = integer(zone.resolve("temp"));
            if (value != null) {
                String type = text(zone.resolve("type"));
                String kind = type == null || type.isEmpty() ? zone.getFileName().toString() : type;
                String key = temperatures.containsKey(kind) ? kind + "-" + zone.getFileName() : kind;
                // The kernel reports thousandths of a degree.
                temperatures.put(key, value / 1000.0);
            }
        }
        return temperatures;
    }

    private Double load() {
        String text = text(root.resolve("proc/loadavg"));
        try {
            return text == null ? null : Double.valueOf(text.split(" ")[0]);
        } catch (NumberFormatException odd) {
            return null;
        }
    }

    private Long available() {
        try (ProcFields fields = new ProcFields(root.resolve("proc/meminfo"))) {
            fields.refresh();
            return fields.value(ProcFields.key("MemAvailable"));
        } catch (IOException absent) {
            return null;
        }
    }

    /** The entries of {@code folder} whose names are {@code prefix} and a number, in numerical order. */
    private static List<Path> numbered(Path folder, String glob, String prefix) {
        List<Path> entries = new ArrayList<>();
        try (DirectoryStream<Path> stream = Files.newDirectoryStream(folder, glob)) {
            for (Path path : stream) {
                if (path.getFileName().toString().substring(prefix.length()).matches("[0-9]+")) {
                    entries.add(path);
                }
            }
        } catch (IOException absent) {
            return entries;
        }
        entries.sort(Comparator.comparingInt(
            path -> Integer.parseInt(path.getFileName().toString().substring(prefix.length()))));
        return entries;
    }

    private static Long integer(Path path) {
        String text = text(path);
        return text != null && text.matches("-?[0-9]{1,18}") ? Long.valueOf(text) : null;
    }

    private static String text(Path path) {
        try {
            return new String(Files.readAllBytes(path), StandardCharsets.UTF_8).trim();
        } catch (IOException absent) {
            return null;
        }
    }
}
