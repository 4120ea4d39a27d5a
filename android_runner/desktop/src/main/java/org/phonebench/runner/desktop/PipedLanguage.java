package org.phonebench.runner.desktop;

import java.io.BufferedInputStream;
import java.io.BufferedOutputStream;
import java.io.DataInputStream;
import java.io.DataOutputStream;
import java.io.IOException;
import java.nio.charset.StandardCharsets;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;
import org.phonebench.runner.core.FailureKind;
import org.phonebench.runner.core.LanguageSession;
import org.phonebench.runner.core.LogitsLoop;
import org.phonebench.runner.core.LogitsProgram;
import org.phonebench.runner.core.RunFailure;
import org.phonebench.runner.core.RunReply;
import org.phonebench.runner.core.RunRequest;
import org.phonebench.runner.core.TextGenerator;
import org.phonebench.runner.core.TextRun;
import org.phonebench.runner.core.TokenScores;

/**
 * A language model in another program. Every question is one byte and its values, big-endian; so is every answer.
 *
 * <p>{@code F}: the context, the tokens and the bytes of the cache, each -1 if unknown. {@code R}, a place and tokens:
 * logits. {@code G}, a text and a number of tokens: {@code P} for each callback, then {@code S} with the statistics. An
 * answer may be {@code E} with a message instead.
 */
final class PipedLanguage implements LanguageSession, LogitsProgram, TextGenerator {
    private static final int MOST_TOKENS = 64;

    private final Process process;
    private final DataInputStream in;
    private final DataOutputStream out;
    private final RunRequest.Runtime request;
    private final LogitsLoop loop = new LogitsLoop(this);
    private Facts facts = Facts.NONE;

    private PipedLanguage(Process process, RunRequest.Runtime request) {
        this.process = process;
        this.request = request;
        this.in = new DataInputStream(new BufferedInputStream(process.getInputStream()));
        this.out = new DataOutputStream(new BufferedOutputStream(process.getOutputStream()));
    }

    /** Start the program and load the file of the request. */
    static PipedLanguage open(String[] command, Path file, RunRequest request) throws RunFailure {
        List<String> words = new ArrayList<>(Arrays.asList(command));
        words.add(file.toString());
        RunRequest.Generate asked = request.passes().generate();
        if (asked != null && !asked.tokenizer().isEmpty()) {
            words.add(file.resolveSibling(asked.tokenizer()).toString());
        }
        try {
            Process process = new ProcessBuilder(words).redirectError(ProcessBuilder.Redirect.DISCARD).start();
            PipedLanguage session = new PipedLanguage(process, request.runtime());
            session.ask('F');
            session.facts = new Facts(session.known(), session.known(), session.known(), "stated by the program");
            return session;
        } catch (IOException error) {
            throw RunFailure.load("ExecuTorch", file.getFileName().toString(), error);
        }
    }

    @Override
    public Facts facts() {
        return facts;
    }

    @Override
    public RunReply.Generation generate(Prompt prompt, int newTokens) throws RunFailure {
        return prompt.text() == null ? loop.generate(prompt.tokens(), newTokens)
            : TextRun.generate(this, prompt, newTokens);
    }

    @Override
    public TokenScores score(int[] tokens) throws RunFailure {
        return loop.score(tokens);
    }

    @Override
    public float[] run(long[] tokens, int place) throws RunFailure {
        try {
            out.writeByte('R');
            out.writeInt(place);
            out.writeInt(tokens.length);
            for (long token : tokens) {
                out.writeInt((int) token);
            }
            answer();
            float[] logits = new float[in.readInt()];
            for (int at = 0; at < logits.length; at++) {
                logits[at] = in.readFloat();
            }
            return logits;
        } catch (IOException error) {
            throw RunFailure.call("ExecuTorch", error);
        }
    }

    @Override
    public int mostTokens() {
        return MOST_TOKENS;
    }

    @Override
    public void generate(String prompt, int allTokens, Listener listener) throws RunFailure {
        try {
            byte[] text = prompt.getBytes(StandardCharsets.UTF_8);
            out.writeByte('G');
            out.writeInt(text.length);
            out.write(text);
            out.writeInt(allTokens);
            for (int kind = answer(); kind == 'P'; kind = answer()) {
                listener.piece();
            }
            listener.statistics(text());
        } catch (IOException error) {
            throw RunFailure.call("ExecuTorch", error);
        }
    }

    @Override
    public void stop() {
        // The program ends by itself after as many tokens as it was asked for.
    }

    @Override
    public void reset() {
        // It forgets the call before at each one.
    }

    @Override
    public RunReply.Runtime report() {
        return new RunReply.Runtime("executorch", "piped", request.delegate(), "xnnpack", request.threads(), null, null,
            null);
    }

    @Override
    public void close() {
        try {
            out.close();
            process.waitFor();
        } catch (IOException ended) {
            process.destroy();
        } catch (InterruptedException interrupted) {
            Thread.currentThread().interrupt();
        }
    }

    private void ask(char question) throws IOException, RunFailure {
        out.writeByte(question);
        answer();
    }

    /** Send the question and return the kind of the answer. */
    private int answer() throws IOException, RunFailure {
        out.flush();
        int kind = in.readUnsignedByte();
        if (kind == 'E') {
            throw RunFailure.failed(FailureKind.RUN, "ExecuTorch failed during a call: " + text());
        }
        return kind;
    }

    private Long known() throws IOException {
        long value = in.readLong();
        return value < 0 ? null : value;
    }

    private String text() throws IOException {
        byte[] text = new byte[in.readInt()];
        in.readFully(text);
        return new String(text, StandardCharsets.UTF_8);
    }
}
