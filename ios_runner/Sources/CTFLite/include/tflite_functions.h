// The names of TensorFlow Lite's functions that the runner uses.
#ifndef PHONEBENCH_TFLITE_FUNCTIONS_H
#define PHONEBENCH_TFLITE_FUNCTIONS_H

#define PB_TFLITE_FUNCTIONS(X)                \
    X(TfLiteVersion)                          \
    X(TfLiteModelCreateFromFile)              \
    X(TfLiteModelDelete)                      \
    X(TfLiteInterpreterOptionsCreate)         \
    X(TfLiteInterpreterOptionsDelete)         \
    X(TfLiteInterpreterOptionsSetNumThreads)  \
    X(TfLiteInterpreterOptionsAddDelegate)    \
    X(TfLiteInterpreterCreate)                \
    X(TfLiteInterpreterDelete)                \
    X(TfLiteInterpreterAllocateTensors)       \
    X(TfLiteInterpreterResizeInputTensor)     \
    X(TfLiteInterpreterInvoke)                \
    X(TfLiteInterpreterGetInputTensorCount)   \
    X(TfLiteInterpreterGetInputTensor)        \
    X(TfLiteInterpreterGetOutputTensorCount)  \
    X(TfLiteInterpreterGetOutputTensor)       \
    X(TfLiteTensorType)                       \
    X(TfLiteTensorNumDims)                    \
    X(TfLiteTensorDim)                        \
    X(TfLiteTensorByteSize)                   \
    X(TfLiteTensorData)                       \
    X(TfLiteTensorName)                       \
    X(TfLiteTensorQuantizationParams)

// Not in every build of the library. The frameworks of CocoaPods have them all.
#define PB_TFLITE_OPTIONAL_FUNCTIONS(X)        \
    X(TfLiteInterpreterModifyGraphWithDelegate) \
    X(TfLiteInterpreterOptionsSetErrorReporter) \
    X(TfLiteXNNPackDelegateOptionsDefault)     \
    X(TfLiteXNNPackDelegateCreate)             \
    X(TfLiteXNNPackDelegateDelete)             \
    X(TFLGpuDelegateCreate)                    \
    X(TFLGpuDelegateDelete)                    \
    X(TfLiteCoreMlDelegateCreate)              \
    X(TfLiteCoreMlDelegateDelete)

#endif
