package org.phonebench.runner.core;

import java.util.List;
import java.util.Optional;

/** A loaded model; {@link #invoke} is the one thing that is timed. */
public interface Session extends AutoCloseable {
    /** The logical inputs (a quantised one is float32, an open dimension {@link TensorSpec#ANY}), if they are told. */
    Optional<List<TensorSpec>> inputs();

    /** Take one call's inputs, in the model's order and checked; casting and quantising happen here. */
    void setInputs(List<Tensor> tensors) throws RunFailure;

    /** Run the model once on the inputs that were set. */
    void invoke() throws RunFailure;

    /** Copies of the outputs of the last call, as the wire has them. */
    List<Tensor> outputs() throws RunFailure;

    /** What the runtime is and what it really runs on. */
    RunReply.Runtime report();

    /** Release the model. A second call does nothing. */
    @Override
    void close();
}
