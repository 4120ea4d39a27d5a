package org.tensorflow.lite;

/**
 * How many steps an interpreter has left, which the public API does not tell; hence the package of this class.
 *
 * <p>A delegate puts one step of its own in the place of all the nodes of a partition.
 */
public final class ExecutionPlan {
    private ExecutionPlan() {}

    public static int length(Interpreter interpreter) {
        return interpreter.getExecutionPlanLength();
    }
}
