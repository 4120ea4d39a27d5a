package org.phonebench.runner.executorch;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;

import java.util.ArrayList;
import java.util.Arrays;
import java.util.Collections;
import java.util.List;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.EnumSource;
import org.phonebench.runner.core.DType;
import org.phonebench.runner.core.Delegate;
import org.phonebench.runner.core.RunFailure;
import org.phonebench.runner.core.RunRequest;
import org.phonebench.runner.core.Tensor;
import org.phonebench.runner.core.TextGenerator;
import org.pytorch.executorch.extension.llm.LlmCallback;

/** What can be tested without the native library, which exists only for Android. */
final class ExecuTorchAdapterTest {
    @Test
    void withoutTheNativeLibraryTheRuntimeIsUnsupported() {
        RunRequest.Runtime request = new RunRequest.Runtime(Delegate.CPU, 1, Collections.emptyMap());
        assertTrue(assertThrows(RunFailure.class, () -> new ExecuTorchAdapter().start(request)).unsupported());
    }

    @Test
    void theCallbacksOfTheLibraryArePassedOn() {
        List<String> heard = new ArrayList<>();
        TextGenerator.Listener listener = new TextGenerator.Listener() {
            @Override
            public void piece() {
                heard.add("piece");
            }

            @Override
            public void statistics(String json) {
                heard.add(json);
            }
        };
        LlmCallback callback = new RunnerCalls.Callback(listener);
        callback.onResult(" the");
        callback.onStats("{}");
        assertEquals(Arrays.asList("piece", "{}"), heard);
    }

    @ParameterizedTest
    @EnumSource(value = DType.class, names = {"FLOAT16", "INT64", "INT32", "INT8", "UINT8"})
    void aTensorSurvivesTheWayThroughTheLibrarysOwn(DType dtype) {
        Tensor tensor = Tensor.zeros(dtype, Arrays.asList(2, 3));
        if (dtype.sort() == DType.Sort.FLOAT) {
            tensor.setReal(5, 0.5f);
            assertEquals(0.5f, Tensors.fromNative(Tensors.toNative(tensor)).real(5));
        } else {
            tensor.setInteger(5, 100);
            assertEquals(tensor, Tensors.fromNative(Tensors.toNative(tensor)));
        }
    }

    @ParameterizedTest
    @EnumSource(value = DType.class, names = {"INT16", "BOOL"})
    void aTypeThatTheLibraryCannotMakeIsRefusedByName(DType dtype) {
        Tensor tensor = Tensor.zeros(dtype, Arrays.asList(1));
        String said = assertThrows(IllegalArgumentException.class, () -> Tensors.toNative(tensor)).getMessage();
        assertTrue(said.contains(dtype.wireName()), said);
    }
}
