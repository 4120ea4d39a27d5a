package org.phonebench.runner.onnxruntime;

import java.util.ArrayList;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import org.json.JSONArray;
import org.json.JSONException;
import org.json.JSONObject;
import org.phonebench.runner.core.FailureKind;
import org.phonebench.runner.core.RunFailure;
import org.phonebench.runner.core.RunReply;

/** Reads the profile that ONNX Runtime writes: a JSON list of events with times in whole microseconds. */
final class OperatorTimes {
    private static final String SUFFIX = "_kernel_time";

    private record Operator(String name, String kind) {}

    private OperatorTimes() {}

    /** The times of the kernel events by operator, in the order in which the operators first ran. */
    static List<RunReply.OperatorTime> read(String text) throws RunFailure {
        Map<Operator, List<Long>> samples = new LinkedHashMap<>();
        try {
            JSONArray events = new JSONArray(text);
            for (int at = 0; at < events.length(); at++) {
                JSONObject event = events.getJSONObject(at);
                String name = event.optString("name");
                if (event.optString("cat").equals("Node") && name.endsWith(SUFFIX)) {
                    Operator operator = new Operator(name.substring(0, name.length() - SUFFIX.length()),
                        event.getJSONObject("args").getString("op_name"));
                    samples.computeIfAbsent(operator, absent -> new ArrayList<>()).add(1000 * event.getLong("dur"));
                }
            }
        } catch (JSONException error) {
            throw RunFailure.failed(FailureKind.RUN, "cannot read the profile of ONNX Runtime", error);
        }
        List<RunReply.OperatorTime> times = new ArrayList<>();
        for (Map.Entry<Operator, List<Long>> entry : samples.entrySet()) {
            times.add(new RunReply.OperatorTime(entry.getKey().name(), entry.getKey().kind(), array(entry.getValue())));
        }
        return times;
    }

    private static long[] array(List<Long> values) {
        long[] array = new long[values.size()];
        for (int at = 0; at < array.length; at++) {
            array[at] = values.get(at);
        }
        return array;
    }
}
