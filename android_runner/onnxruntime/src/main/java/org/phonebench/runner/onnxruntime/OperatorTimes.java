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

    private record Operator(String name, String kind, String provider) {}

    private OperatorTimes() {}

    /** The times of the kernel events after the first call, by operator, in the order in which the operators ran. */
    static List<RunReply.OperatorTime> read(String text) throws RunFailure {
        Map<Operator, List<Long>> samples = new LinkedHashMap<>();
        try {
            JSONArray events = new JSONArray(text);
            long from = endOfFirstCall(events);
            for (int at = 0; at < events.length(); at++) {
                JSONObject event = events.getJSONObject(at);
                String name = event.optString("name");
                if (event.optString("cat").equals("Node") && name.endsWith(SUFFIX)
                        && event.optLong("ts") >= from) {
                    JSONObject facts = event.getJSONObject("args");
                    Operator operator = new Operator(name.substring(0, name.length() - SUFFIX.length()),
                        facts.getString("op_name"), facts.optString("provider"));
                    samples.computeIfAbsent(operator, absent -> new ArrayList<>()).add(1000 * event.getLong("dur"));
                }
            }
        } catch (JSONException error) {
            throw RunFailure.failed(FailureKind.RUN, "cannot read the profile of ONNX Runtime", error);
        }
        List<RunReply.OperatorTime> times = new ArrayList<>();
        for (Map.Entry<Operator, List<Long>> entry : samples.entrySet()) {
            Operator operator = entry.getKey();
            times.add(new RunReply.OperatorTime(operator.name(), operator.kind(),
                OnnxAdapter.delegateOf(operator.provider()), array(entry.getValue())));
        }
        return times;
    }

    /** When the first call ended, in microseconds; 0 if the trace has no whole call. */
    private static long endOfFirstCall(JSONArray events) throws JSONException {
        for (int at = 0; at < events.length(); at++) {
            JSONObject event = events.getJSONObject(at);
            if (event.optString("name").equals("model_run")) {
                return event.getLong("ts") + event.getLong("dur");
            }
        }
        return 0;
    }

    private static long[] array(List<Long> values) {
        long[] array = new long[values.size()];
        for (int at = 0; at < array.length; at++) {
            array[at] = values.get(at);
        }
        return array;
    }
}
