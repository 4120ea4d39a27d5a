package org.phonebench.runner;

import android.app.ActivityManager;
import android.content.Context;
import android.os.Build;
import android.system.Os;
import android.system.OsConstants;
import java.util.LinkedHashMap;
import java.util.Map;

/** What the phone is, for a host that cannot ask it itself. */
final class PhoneFacts {
    private PhoneFacts() {}

    @NewerAndroid
    static Map<String, String> of(Context context) {
        ActivityManager.MemoryInfo memory = new ActivityManager.MemoryInfo();
        ((ActivityManager) context.getSystemService(Context.ACTIVITY_SERVICE)).getMemoryInfo(memory);
        Map<String, String> facts = new LinkedHashMap<>();
        facts.put("manufacturer", Build.MANUFACTURER);
        facts.put("model", Build.MODEL);
        facts.put("soc", Build.VERSION.SDK_INT >= Build.VERSION_CODES.S
            ? Build.SOC_MANUFACTURER + " " + Build.SOC_MODEL : Build.HARDWARE);
        facts.put("release", Build.VERSION.RELEASE);
        facts.put("api", String.valueOf(Build.VERSION.SDK_INT));
        facts.put("abis", String.join(" ", Build.SUPPORTED_ABIS));
        facts.put("build", Build.FINGERPRINT);
        facts.put("security_patch", Build.VERSION.SECURITY_PATCH);
        facts.put("cores", String.valueOf(Runtime.getRuntime().availableProcessors()));
        facts.put("memory_bytes", String.valueOf(memory.totalMem));
        facts.put("page_bytes", String.valueOf(Os.sysconf(OsConstants._SC_PAGESIZE)));
        return facts;
    }
}
