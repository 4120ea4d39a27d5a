#include "tflite_table.h"

#include "tflite_functions.h"

#include <dlfcn.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#define PB_LOAD(function)                                       \
    *(void **)&table->function = dlsym(library, #function);     \
    if (!table->function) return #function;

const char *pb_tflite_open(void *library, pb_tflite *table) {
    PB_TFLITE_FUNCTIONS(PB_LOAD)
    *(void **)&table->TfLiteInterpreterModifyGraphWithDelegate =
        dlsym(library, "TfLiteInterpreterModifyGraphWithDelegate");
    return NULL;
}

// The options of the XNNPACK delegate have grown from release to release; the number of threads has always come first.
// This is larger than those of any release, so that the library may return what it has. All releases since 2.10 return
// their options through memory, because they have more than 16 bytes.
typedef struct {
    int32_t threads;
    int32_t rest[127];
} xnnpack_options;

static TfLiteDelegate *create_xnnpack(void *library, TfLiteDelegate *(*create)(const void *), int32_t threads) {
    xnnpack_options (*defaults)(void) = (xnnpack_options(*)(void))dlsym(library, "TfLiteXNNPackDelegateOptionsDefault");
    if (!defaults) return NULL;
    xnnpack_options options = defaults();
    options.threads = threads;
    return create(&options);
}

// Core ML's delegate wants its settings: on which devices, which version of Core ML (0: the newest), how many
// partitions (0: any number), and how many nodes a partition must have.
typedef struct {
    int enabled_devices;
    int coreml_version;
    int most_partitions;
    int least_nodes;
    int debug[8];
} coreml_options;
enum { COREML_ALL_DEVICES = 1, COREML_LEAST_NODES = 2 };

static const char *const create_names[] = {
    "TfLiteXNNPackDelegateCreate", "TFLGpuDelegateCreate", "TfLiteCoreMlDelegateCreate"};
static const char *const delete_names[] = {
    "TfLiteXNNPackDelegateDelete", "TFLGpuDelegateDelete", "TfLiteCoreMlDelegateDelete"};

TfLiteDelegate *pb_tflite_delegate_create(void *library, pb_tflite_delegate kind, int32_t threads) {
    TfLiteDelegate *(*create)(const void *) = (TfLiteDelegate * (*)(const void *)) dlsym(library, create_names[kind]);
    if (!create) return NULL;
    if (kind == PB_TFLITE_METAL) return create(NULL);
    if (kind == PB_TFLITE_COREML) {
        coreml_options options = {.enabled_devices = COREML_ALL_DEVICES, .least_nodes = COREML_LEAST_NODES};
        return create(&options);
    }
    return create_xnnpack(library, create, threads);
}

void pb_tflite_delegate_delete(void *library, pb_tflite_delegate kind, TfLiteDelegate *delegate) {
    void (*drop)(TfLiteDelegate *) = (void (*)(TfLiteDelegate *))dlsym(library, delete_names[kind]);
    if (drop && delegate) drop(delegate);
}

static void log_error(void *user, const char *format, va_list arguments) {
    pb_tflite_log *log = user;
    size_t used = strlen(log->text);
    if (used > 0 && used < sizeof log->text - 2) log->text[used++] = '\n';
    vsnprintf(log->text + used, sizeof log->text - used, format, arguments);
}

void pb_tflite_log_errors(void *library, TfLiteInterpreterOptions *options, pb_tflite_log *log) {
    typedef void (*reporter)(void *, const char *, va_list);
    void (*set)(TfLiteInterpreterOptions *, reporter, void *) =
        (void (*)(TfLiteInterpreterOptions *, reporter, void *))dlsym(
            library, "TfLiteInterpreterOptionsSetErrorReporter");
    log->text[0] = 0;
    if (set) set(options, log_error, log);
}

// A delegate that takes nothing. The interpreter shows its plan to delegates only; the C interface has no other way.
// The layouts are the beginnings of TfLiteContext, TfLiteRegistration and TfLiteDelegate, which have not changed since
// delegates exist.
typedef struct {
    int size;
    int data[];
} int_array;

typedef struct context {
    size_t tensors_size;
    unsigned (*get_execution_plan)(struct context *, int_array **);
    void *tensors;
    void *implementation;
    void *resize_tensor;
    void *report_error;
    void *add_tensors;
    unsigned (*get_node_and_registration)(struct context *, int, void **, void **);
} context;

typedef struct {
    void *functions[4];
    const char *(*profiling_string)(const context *, const void *);
    int32_t builtin_code;
} registration;

typedef struct {
    pb_tflite_plan *plan;
    unsigned (*prepare)(context *, void *);
    void *copies[3];
    int64_t flags;
    void *later[8];
} observer;

// BuiltinOperator_DELEGATE of the schema: a node that stands for a partition.
enum { DELEGATE_CODE = 51, ALLOW_DYNAMIC_TENSORS = 1 };

static unsigned look(context *context, void *delegate) {
    pb_tflite_plan *plan = ((observer *)delegate)->plan;
    int_array *steps = NULL;
    if (context->get_execution_plan(context, &steps) != PB_TFLITE_OK) return PB_TFLITE_OK;
    int partitions = 0;
    for (int at = 0; at < steps->size; at++) {
        void *node = NULL, *kernel = NULL;
        if (context->get_node_and_registration(context, steps->data[at], &node, &kernel) != PB_TFLITE_OK) {
            return PB_TFLITE_OK;
        }
        partitions += ((registration *)kernel)->builtin_code == DELEGATE_CODE;
    }
    plan->steps = steps->size;
    plan->partitions = partitions;
    return PB_TFLITE_OK;
}

pb_tflite_plan pb_tflite_observe(const pb_tflite *table, TfLiteInterpreter *interpreter) {
    pb_tflite_plan plan = {-1, -1};
    if (!table->TfLiteInterpreterModifyGraphWithDelegate) return plan;
    observer observer = {.plan = &plan, .prepare = look, .flags = ALLOW_DYNAMIC_TENSORS};
    table->TfLiteInterpreterModifyGraphWithDelegate(interpreter, (TfLiteDelegate *)&observer);
    return plan;
}
