// The part of TensorFlow Lite's C interface that the runner uses, as a table of functions of a library that is opened
// at run time. The types are incomplete on purpose: nothing here depends on their layout.
#ifndef PHONEBENCH_TFLITE_TABLE_H
#define PHONEBENCH_TFLITE_TABLE_H

#include <stddef.h>
#include <stdint.h>

typedef struct TfLiteModel TfLiteModel;
typedef struct TfLiteInterpreter TfLiteInterpreter;
typedef struct TfLiteInterpreterOptions TfLiteInterpreterOptions;
typedef struct TfLiteTensor TfLiteTensor;
typedef struct TfLiteDelegate TfLiteDelegate;

typedef struct {
    float scale;
    int32_t zero_point;
} pb_quantisation;

enum { PB_TFLITE_OK = 0 };

// TensorFlow Lite's numbers of the element types that the wire has.
enum {
    PB_TFLITE_FLOAT32 = 1,
    PB_TFLITE_INT32 = 2,
    PB_TFLITE_UINT8 = 3,
    PB_TFLITE_INT64 = 4,
    PB_TFLITE_BOOL = 6,
    PB_TFLITE_INT16 = 7,
    PB_TFLITE_INT8 = 9,
    PB_TFLITE_FLOAT16 = 10,
    PB_TFLITE_FLOAT64 = 11,
    PB_TFLITE_UINT64 = 13,
    PB_TFLITE_UINT32 = 16,
    PB_TFLITE_UINT16 = 17,
};

typedef struct {
    const char *(*TfLiteVersion)(void);
    TfLiteModel *(*TfLiteModelCreateFromFile)(const char *path);
    void (*TfLiteModelDelete)(TfLiteModel *model);
    TfLiteInterpreterOptions *(*TfLiteInterpreterOptionsCreate)(void);
    void (*TfLiteInterpreterOptionsDelete)(TfLiteInterpreterOptions *options);
    void (*TfLiteInterpreterOptionsSetNumThreads)(TfLiteInterpreterOptions *options, int32_t threads);
    void (*TfLiteInterpreterOptionsAddDelegate)(TfLiteInterpreterOptions *options, TfLiteDelegate *delegate);
    TfLiteInterpreter *(*TfLiteInterpreterCreate)(const TfLiteModel *model, const TfLiteInterpreterOptions *options);
    void (*TfLiteInterpreterDelete)(TfLiteInterpreter *interpreter);
    unsigned (*TfLiteInterpreterAllocateTensors)(TfLiteInterpreter *interpreter);
    unsigned (*TfLiteInterpreterResizeInputTensor)(
        TfLiteInterpreter *interpreter, int32_t index, const int *sizes, int32_t rank);
    unsigned (*TfLiteInterpreterInvoke)(TfLiteInterpreter *interpreter);
    int32_t (*TfLiteInterpreterGetInputTensorCount)(const TfLiteInterpreter *interpreter);
    TfLiteTensor *(*TfLiteInterpreterGetInputTensor)(const TfLiteInterpreter *interpreter, int32_t index);
    int32_t (*TfLiteInterpreterGetOutputTensorCount)(const TfLiteInterpreter *interpreter);
    const TfLiteTensor *(*TfLiteInterpreterGetOutputTensor)(const TfLiteInterpreter *interpreter, int32_t index);
    unsigned (*TfLiteTensorType)(const TfLiteTensor *tensor);
    int32_t (*TfLiteTensorNumDims)(const TfLiteTensor *tensor);
    int32_t (*TfLiteTensorDim)(const TfLiteTensor *tensor, int32_t axis);
    size_t (*TfLiteTensorByteSize)(const TfLiteTensor *tensor);
    void *(*TfLiteTensorData)(const TfLiteTensor *tensor);
    const char *(*TfLiteTensorName)(const TfLiteTensor *tensor);
    pb_quantisation (*TfLiteTensorQuantizationParams)(const TfLiteTensor *tensor);
    // Not in every build of the library, and then null.
    unsigned (*TfLiteInterpreterModifyGraphWithDelegate)(TfLiteInterpreter *interpreter, TfLiteDelegate *delegate);
} pb_tflite;

// Fills the table from a library that dlopen returned. Null, or the name of a function that the library lacks.
const char *pb_tflite_open(void *library, pb_tflite *table);

typedef enum { PB_TFLITE_XNNPACK, PB_TFLITE_METAL, PB_TFLITE_COREML } pb_tflite_delegate;

// Makes a delegate with its default settings; null if the library does not have it or the device cannot use it.
TfLiteDelegate *pb_tflite_delegate_create(void *library, pb_tflite_delegate kind, int32_t threads);
void pb_tflite_delegate_delete(void *library, pb_tflite_delegate kind, TfLiteDelegate *delegate);

// Collects what the interpreter complains about, as one text of limited length.
typedef struct {
    char text[1024];
} pb_tflite_log;
void pb_tflite_log_errors(void *library, TfLiteInterpreterOptions *options, pb_tflite_log *log);

// What the interpreter's plan consists of now; every figure is -1 if that cannot be seen.
typedef struct {
    int steps;       // nodes that will run
    int partitions;  // those of them that stand for a partition of a delegate
} pb_tflite_plan;
pb_tflite_plan pb_tflite_observe(const pb_tflite *table, TfLiteInterpreter *interpreter);

#endif
