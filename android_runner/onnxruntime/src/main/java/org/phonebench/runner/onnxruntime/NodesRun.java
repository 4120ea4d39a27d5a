package org.phonebench.runner.onnxruntime;

import ai.onnxruntime.OrtProvider;
import java.util.HashMap;
import java.util.HashSet;
import java.util.Map;
import java.util.Set;
import org.json.JSONArray;
import org.json.JSONException;
import org.json.JSONObject;
import org.phonebench.runner.core.Delegate;
import org.phonebench.runner.core.FailureKind;
import org.phonebench.runner.core.RunFailure;
import org.phonebench.runner.core.RunReply;

/**
 * The nodes that ran in a trace of ONNX Runtime, by the name of the execution provider that ran them.
 *
 * <p>These are the nodes of the optimised graph. NNAPI and QNN compile each of their partitions into one node; XNNPACK
 * runs single nodes.
 */
final class NodesRun {
    private static final String SUFFIX = "_kernel_time";

    private final Map<String, Set<String>> byProvider = new HashMap<>();

    static NodesRun read(String trace) throws RunFailure {
        NodesRun nodes = new NodesRun();
        try {
            JSONArray events = new JSONArray(trace);
            for (int at = 0; at < events.length(); at++) {
                JSONObject event = events.getJSONObject(at);
                String name = event.optString("name");
                if (event.optString("cat").equals("Node") && name.endsWith(SUFFIX)) {
                    String provider = event.getJSONObject("args").getString("provider");
                    nodes.byProvider.computeIfAbsent(provider, absent -> new HashSet<>()).add(name);
                }
            }
        } catch (JSONException error) {
            throw RunFailure.failed(FailureKind.RUN, "cannot read the trace of ONNX Runtime", error);
        }
        return nodes;
    }

    /** {@code report} with what {@code provider} ran. If it ran nothing, the processor did. */
    RunReply.Runtime on(OrtProvider provider, RunReply.Runtime report) {
        int total = 0;
        for (Set<String> names : byProvider.values()) {
            total += names.size();
        }
        if (total == 0) {
            return report;
        }
        int delegated = byProvider.getOrDefault(provider.getName(), new HashSet<>()).size();
        String used = delegated == 0 ? Delegate.CPU.wireName() : report.delegateUsed();
        return report.ran(used, total, delegated, compiles(provider) ? Integer.valueOf(delegated) : null);
    }

    private static boolean compiles(OrtProvider provider) {
        return provider == OrtProvider.NNAPI || provider == OrtProvider.QNN;
    }
}
