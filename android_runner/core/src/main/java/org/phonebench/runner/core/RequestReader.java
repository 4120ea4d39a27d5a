package org.phonebench.runner.core;

import java.util.ArrayList;
import java.util.Base64;
import java.util.Collections;
import java.util.List;
import java.util.Locale;
import org.phonebench.runner.core.RunRequest.Artifact;
import org.phonebench.runner.core.RunRequest.EncryptedFile;
import org.phonebench.runner.core.RunRequest.Encryption;
import org.phonebench.runner.core.RunRequest.Energy;
import org.phonebench.runner.core.RunRequest.Generate;
import org.phonebench.runner.core.RunRequest.Inputs;
import org.phonebench.runner.core.RunRequest.Latency;
import org.phonebench.runner.core.RunRequest.Limits;
import org.phonebench.runner.core.RunRequest.Memory;
import org.phonebench.runner.core.RunRequest.Outputs;
import org.phonebench.runner.core.RunRequest.Part;
import org.phonebench.runner.core.RunRequest.Passes;
import org.phonebench.runner.core.RunRequest.Profile;
import org.phonebench.runner.core.RunRequest.Runtime;
import org.phonebench.runner.core.RunRequest.Score;

/** Reads the text of {@code request.json} into a {@link RunRequest}. Unknown keys are ignored. */
public final class RequestReader {
    private RequestReader() {}

    /** The cell and the launch of a possibly broken request, as far as they can be read. */
    public record Head(String cell, int launch) {}

    public static RunRequest read(String text) throws RequestException {
        Fields root = Fields.parse(text);
        long schema = root.integer("schema");
        if (schema != RunRequest.SCHEMA) {
            throw new RequestException("the request has schema " + schema + ", but this runner reads schema "
                + RunRequest.SCHEMA + ": use the same version on both sides");
        }
        return new RunRequest(root.text("cell"), root.count("launch", 0), artifact(root.object("artifact")),
            runtime(root.object("runtime")), inputs(root.object("inputs")), passes(root.object("passes")));
    }

    public static Head head(String text) {
        try {
            Fields root = Fields.parse(text);
            String cell = root.lacks("cell") ? "" : root.text("cell");
            return new Head(cell, root.lacks("launch") ? 0 : root.count("launch", 0));
        } catch (RequestException unreadable) {
            return new Head("", 0);
        }
    }

    private static Artifact artifact(Fields fields) throws RequestException {
        List<Part> companions = new ArrayList<>();
        boolean alone = fields.lacks("companions");
        for (Fields part : alone ? Collections.<Fields>emptyList() : fields.objects("companions")) {
            companions.add(new Part(plainName(part, "file"), digest(part, "sha256")));
        }
        String file = plainName(fields, "file");
        String signature = fields.lacks("signature") ? "" : fields.text("signature");
        Encryption encryption =
            fields.lacks("encryption") ? null : encryption(fields.object("encryption"), 1 + companions.size());
        return new Artifact(file, digest(fields, "sha256"), fields.text("format"), companions, signature, encryption);
    }

    /** Without a recipient, the request only asks for the runner's key. */
    private static Encryption encryption(Fields fields, int parts) throws RequestException {
        if (fields.lacks("recipient") || fields.text("recipient").isEmpty()) {
            return new Encryption("", Collections.emptyList());
        }
        List<EncryptedFile> files = new ArrayList<>();
        for (Fields file : fields.objects("files")) {
            files.add(new EncryptedFile(digest(file, "sha256"), bytes(file, "key")));
        }
        if (files.size() != parts) {
            throw fields.wrong("files", "a list with the artifact and its companions, " + parts + " in all");
        }
        return new Encryption(digest(fields, "recipient"), files);
    }

    private static byte[] bytes(Fields fields, String key) throws RequestException {
        try {
            return Base64.getDecoder().decode(fields.text(key));
        } catch (IllegalArgumentException error) {
            throw fields.wrong(key, "Base64");
        }
    }

    private static Runtime runtime(Fields fields) throws RequestException {
        Delegate delegate = oneOf(fields, "delegate", Delegate.values());
        return new Runtime(delegate, fields.count("threads", 1), fields.texts("options"));
    }

    private static Inputs inputs(Fields fields) throws RequestException {
        List<TensorSpec> tensors = new ArrayList<>();
        for (Fields tensor : fields.objects("tensors")) {
            DType dtype = oneOf(tensor, "dtype", DType.values());
            tensors.add(new TensorSpec(tensor.text("name"), dtype, tensor.sizes("shape")));
        }
        boolean unknown = fields.lacks("sha256") || fields.text("sha256").isEmpty();
        String sha256 = unknown ? null : digest(fields, "sha256");
        return new Inputs(plainName(fields, "file"), fields.count("count", 1), tensors, sha256);
    }

    private static Passes passes(Fields fields) throws RequestException {
        return new Passes(
            fields.lacks("latency") ? null : latency(fields.object("latency")),
            fields.lacks("memory") ? null : memory(fields.object("memory")),
            fields.lacks("outputs") ? null : new Outputs(fields.object("outputs").count("count", 0)),
            fields.lacks("profile") ? null : new Profile(fields.object("profile").count("calls", 0)),
            fields.lacks("energy") ? null : energy(fields.object("energy")),
            fields.lacks("generate") ? null : generate(fields.object("generate")),
            fields.lacks("score") ? null : new Score(fields.object("score").count("count", 0)));
    }

    private static Generate generate(Fields fields) throws RequestException {
        Fields measure = fields.object("measure");
        long maxNs = measure.duration("max_ns");
        String text = fields.lacks("prompt_text") ? "" : fields.text("prompt_text");
        boolean named = !fields.lacks("tokenizer") && !fields.text("tokenizer").isEmpty();
        return new Generate(fields.count("prompt_tokens", 1), fields.count("new_tokens", 1),
            limits(fields.object("warmup"), maxNs), limits(measure, maxNs), text,
            named ? plainName(fields, "tokenizer") : "");
    }

    private static Energy energy(Fields fields) throws RequestException {
        return new Energy(fields.duration("idle_ns"), fields.duration("settle_ns", 0));
    }

    private static Latency latency(Fields fields) throws RequestException {
        Fields measure = fields.object("measure");
        long maxNs = measure.duration("max_ns");
        return new Latency(limits(fields.object("warmup"), maxNs), limits(measure, maxNs),
            fields.duration("interval_ns", 0), fields.duration("stride_ns", 0));
    }

    /** The time limit of the measured calls also applies to the warm-up. */
    private static Limits limits(Fields fields, long maxNs) throws RequestException {
        return new Limits(fields.integer("min_calls"), fields.duration("min_ns"), maxNs);
    }

    private static Memory memory(Fields fields) throws RequestException {
        return new Memory(fields.count("calls", 0), fields.duration("settle_ns", 0));
    }

    /** A file name in the job's folder. A name that leads out of the folder is refused. */
    private static String plainName(Fields fields, String key) throws RequestException {
        String name = fields.text(key);
        if (name.isEmpty() || name.equals(".") || name.equals("..") || name.matches("(?s).*[/\0].*")) {
            throw fields.wrong(key, "a plain file name");
        }
        return name;
    }

    private static String digest(Fields fields, String key) throws RequestException {
        String text = fields.text(key);
        if (!text.matches("[0-9a-f]{64}")) {
            throw fields.wrong(key, "64 lower-case hexadecimal digits");
        }
        return text;
    }

    private static <E extends Enum<E>> E oneOf(Fields fields, String key, E[] allowed) throws RequestException {
        String text = fields.text(key);
        StringBuilder names = new StringBuilder();
        for (E item : allowed) {
            String name = item.name().toLowerCase(Locale.ROOT);
            if (name.equals(text)) {
                return item;
            }
            names.append(names.length() == 0 ? "" : ", ").append(name);
        }
        throw fields.wrong(key, "one of " + names);
    }
}
