package org.phonebench.runner.onnxruntime;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertThrows;

import ai.onnxruntime.OrtProvider;
import org.junit.jupiter.api.Test;
import org.phonebench.runner.core.Delegate;
import org.phonebench.runner.core.RunFailure;
import org.phonebench.runner.core.RunReply;

/** Counting nodes in traces of the form that ONNX Runtime 1.29 writes, shortened. */
final class NodesRunTest {
    private static final RunReply.Runtime ASKED =
        new RunReply.Runtime("onnxruntime", "1", Delegate.NNAPI, "nnapi", 2, null, null, null);

    private static String event(String node, String provider) {
        return "{\"cat\":\"Node\",\"name\":\"" + node + "_kernel_time\",\"dur\":7,"
            + "\"args\":{\"op_name\":\"x\",\"provider\":\"" + provider + "\"}}";
    }

    private static String trace(String... events) {
        return "[{\"cat\":\"Session\",\"name\":\"model_run\",\"dur\":9,\"args\":{}}," + String.join(",", events) + "]";
    }

    @Test
    void everyNodeIsCountedOnceWithTheProviderThatRanIt() throws Exception {
        String trace = trace(event("NNAPI_0", "NnapiExecutionProvider"), event("Softmax_3", "CPUExecutionProvider"),
            event("NNAPI_1", "NnapiExecutionProvider"), event("Softmax_3", "CPUExecutionProvider"));
        assertEquals(new RunReply.Runtime("onnxruntime", "1", Delegate.NNAPI, "nnapi", 2, 3, 2, 2),
            NodesRun.read(trace).on(OrtProvider.NNAPI, ASKED));
    }

    @Test
    void aPartThatQualcommsProviderCompiledIsOneNodeAndOnePartition() throws Exception {
        RunReply.Runtime asked = new RunReply.Runtime("onnxruntime", "1", Delegate.QNN, "qnn", 1, null, null, null);
        assertEquals(new RunReply.Runtime("onnxruntime", "1", Delegate.QNN, "qnn", 1, 1, 1, 1),
            NodesRun.read(trace(event("QNN_0", "QNNExecutionProvider"))).on(OrtProvider.QNN, asked));
    }

    @Test
    void aProviderThatRanNothingWasNotUsed() throws Exception {
        RunReply.Runtime seen =
            NodesRun.read(trace(event("Conv_0", "CPUExecutionProvider"))).on(OrtProvider.XNNPACK, ASKED);
        assertEquals("cpu", seen.delegateUsed());
        assertEquals(0, seen.nodesDelegated());
        assertEquals(1, seen.nodesTotal());
    }

    @Test
    void aTraceWithoutNodesSaysNothing() throws Exception {
        assertEquals(ASKED, NodesRun.read(trace(event("", "").replace("Node", "Api"))).on(OrtProvider.NNAPI, ASKED));
        assertThrows(RunFailure.class, () -> NodesRun.read("no trace"));
    }
}
