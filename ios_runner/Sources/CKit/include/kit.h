// What a runtime with a C++ interface offers to the runner: one table of functions, in a library that exports only
// pb_kit_get. Every call that can fail writes its reason into `error` and returns 0 or null.
#ifndef PHONEBENCH_KIT_H
#define PHONEBENCH_KIT_H

#include <stddef.h>
#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

enum { PB_KIT_VERSION = 1, PB_KIT_MOST_DIMENSIONS = 16, PB_KIT_ERROR_BYTES = 1024 };

typedef enum {
    PB_OTHER,
    PB_FLOAT32,
    PB_FLOAT16,
    PB_FLOAT64,
    PB_INT64,
    PB_INT32,
    PB_INT16,
    PB_INT8,
    PB_UINT8,
    PB_BOOL,
} pb_type;

// A tensor in C order. The data belongs to whoever made it.
typedef struct {
    pb_type type;
    int32_t rank;
    int64_t sizes[PB_KIT_MOST_DIMENSIONS];
    void *data;
} pb_tensor;

typedef struct pb_model pb_model;

typedef struct {
    int32_t kit_version;
    const char *(*version)(void);
    // The model, ready to be called with so many threads.
    pb_model *(*load)(const char *path, int32_t threads, char *error);
    // The names of the backends that the file is lowered to, joined by commas; empty if there are none.
    const char *(*backends)(pb_model *model);
    // The name of a backend of the file that this build lacks; null if it has all.
    const char *(*missing_backend)(const char *path, char *error);
    // How many inputs the file has; -1 if the runtime does not tell.
    int32_t (*input_count)(pb_model *model);
    int32_t (*input)(pb_model *model, int32_t at, pb_tensor *tensor);
    // Sets the inputs of the next calls. Their data must stay where it is.
    int32_t (*set_inputs)(pb_model *model, const pb_tensor *tensors, int32_t count, char *error);
    int32_t (*invoke)(pb_model *model, char *error);
    int32_t (*output_count)(pb_model *model);
    // A view of an output of the last call.
    int32_t (*output)(pb_model *model, int32_t at, pb_tensor *tensor, char *error);
    void (*unload)(pb_model *model);
} pb_kit;

const pb_kit *pb_kit_get(void);

#ifdef __cplusplus
}
#endif

#endif
