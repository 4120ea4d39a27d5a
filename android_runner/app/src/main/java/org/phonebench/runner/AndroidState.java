package org.phonebench.runner;

import android.app.ActivityManager;
import android.content.Context;
import android.content.Intent;
import android.content.IntentFilter;
import android.os.BatteryManager;
import android.os.Build;
import android.os.PowerManager;
import android.os.SystemClock;
import java.nio.file.Paths;
import java.util.Arrays;
import java.util.Collections;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import org.phonebench.runner.core.LinuxState;
import org.phonebench.runner.core.RunReply;
import org.phonebench.runner.core.StateSource;

/**
 * The state of a phone as far as an app may read it. What {@code /proc} and {@code /sys} hide from apps is null here;
 * the host reads it through the shell.
 */
final class AndroidState implements StateSource {
    private static final List<String> THERMAL = Collections.unmodifiableList(
        Arrays.asList("none", "light", "moderate", "severe", "critical", "emergency", "shutdown"));

    private final Context context;
    private final StateSource linux = new LinuxState(Paths.get("/"));

    AndroidState(Context context) {
        this.context = context.getApplicationContext();
    }

    @Override
    public RunReply.StateSample sample() {
        RunReply.StateSample base = linux.sample();
        Intent battery = context.registerReceiver(null, new IntentFilter(Intent.ACTION_BATTERY_CHANGED));
        Map<String, Double> temperatures = new LinkedHashMap<>(base.temperaturesC());
        Integer tenths = extra(battery, BatteryManager.EXTRA_TEMPERATURE);
        if (tenths != null) {
            temperatures.put("battery", tenths / 10.0);
        }
        return new RunReply.StateSample(base.atNs(), thermalStatus(), thermalHeadroom(), temperatures, base.cpuKhz(),
            base.governor(), base.load1m(), available(base.availableBytes()), percent(battery), charging(battery));
    }

    @Override
    public Long bootNanos() {
        return SystemClock.elapsedRealtimeNanos();
    }

    @NewerAndroid
    private String thermalStatus() {
        if (Build.VERSION.SDK_INT < Build.VERSION_CODES.Q) {
            return null;
        }
        int status = power().getCurrentThermalStatus();
        return status >= 0 && status < THERMAL.size() ? THERMAL.get(status) : null;
    }

    /** How close the phone is to throttling; 1 is severe. The system returns NaN when it is asked too often. */
    @NewerAndroid
    private Float thermalHeadroom() {
        if (Build.VERSION.SDK_INT < Build.VERSION_CODES.R) {
            return null;
        }
        float headroom = power().getThermalHeadroom(0);
        return Float.isNaN(headroom) ? null : headroom;
    }

    private PowerManager power() {
        return (PowerManager) context.getSystemService(Context.POWER_SERVICE);
    }

    private Long available(Long fromProc) {
        if (fromProc != null) {
            return fromProc;
        }
        ActivityManager.MemoryInfo memory = new ActivityManager.MemoryInfo();
        ((ActivityManager) context.getSystemService(Context.ACTIVITY_SERVICE)).getMemoryInfo(memory);
        return memory.availMem;
    }

    private static Double percent(Intent battery) {
        Integer level = extra(battery, BatteryManager.EXTRA_LEVEL);
        Integer scale = extra(battery, BatteryManager.EXTRA_SCALE);
        return level == null || scale == null || scale == 0 ? null : 100.0 * level / scale;
    }

    private static Boolean charging(Intent battery) {
        Integer status = extra(battery, BatteryManager.EXTRA_STATUS);
        if (status == null) {
            return null;
        }
        return status == BatteryManager.BATTERY_STATUS_CHARGING || status == BatteryManager.BATTERY_STATUS_FULL;
    }

    private static Integer extra(Intent battery, String name) {
        return battery == null || !battery.hasExtra(name) ? null : battery.getIntExtra(name, 0);
    }
}
