package org.phonebench.runner.core;

import java.util.List;
import java.util.Optional;

/** A loaded model. Only {@link #invoke} is timed. */
public interface Session extends AutoCloseable {
    /**
     * The logical inputs, if the runtime reports them. A quantised input counts as float32, and an open dimension is
     * {@link TensorSpec#ANY}.
     */
    Optional<List<TensorSpec>> inputs();

    /** Set the inputs of one call, already checked and in the model's order. Casts and quantisation happen here. */
    void setInputs(List<Tensor> tensors) throws RunFailure;

    /** Run the model once on the inputs set before. */
    void invoke() throws RunFailure;

    /** Copies of the outputs of the last call, in their wire types. */
    List<Tensor> outputs() throws RunFailure;

    /** The runtime, and what it really runs on. */
    RunReply.Runtime report();

    /** Release the model. A second call does nothing. */
    @Override
    void close();
}
