package org.tensorflow.lite;

/**
 * The number of steps in an interpreter's execution plan.
 *
 * <p>A delegate replaces all nodes of a partition by one step. The public API does not expose the plan, so this class
 * is in the library's own package.
 */
public final class ExecutionPlan {
    private ExecutionPlan() {}

    public static int length(Interpreter interpreter) {
        return interpreter.getExecutionPlanLength();
    }
}
