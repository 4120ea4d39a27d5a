package org.phonebench.runner.executorch;

import org.phonebench.runner.core.RunFailure;
import org.phonebench.runner.core.TextGenerator;
import org.pytorch.executorch.extension.llm.LlmCallback;
import org.pytorch.executorch.extension.llm.LlmModule;

/** ExecuTorch's own runner of language models. */
final class RunnerCalls implements TextGenerator {
    private static final float GREEDY = 0f;

    private final LlmModule runner;

    RunnerCalls(LlmModule runner) {
        this.runner = runner;
    }

    @Override
    public void generate(String prompt, int allTokens, Listener listener) throws RunFailure {
        Callback callback = new Callback(listener);
        try {
            // No token that begins a text is added: the text has as many tokens as the prompt.
            runner.generate(prompt, allTokens, callback, false, GREEDY, 0, 0);
        } catch (RuntimeException error) {
            throw callback.error == null ? RunFailure.call(ExecuTorchAdapter.TITLE, error)
                : RunFailure.call(ExecuTorchAdapter.TITLE, new IllegalStateException(callback.error, error));
        }
    }

    @Override
    public void stop() {
        runner.stop();
    }

    @Override
    public void reset() throws RunFailure {
        try {
            runner.resetContext();
        } catch (RuntimeException error) {
            throw RunFailure.call(ExecuTorchAdapter.TITLE, error);
        }
    }

    /** Passes the callbacks of the library on. */
    static final class Callback implements LlmCallback {
        private final Listener listener;
        private String error;

        Callback(Listener listener) {
            this.listener = listener;
        }

        @Override
        public void onResult(String piece) {
            listener.piece();
        }

        @Override
        public void onStats(String json) {
            listener.statistics(json);
        }

        @Override
        public void onError(int code, String message) {
            error = message;
        }
    }
}
