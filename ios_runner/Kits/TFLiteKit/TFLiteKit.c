// TensorFlow Lite comes as a static library. This makes the linker take the functions that the runner uses.
#include "tflite_functions.h"

#define PB_KEEP(name) \
    extern void name(void); \
    __attribute__((used)) static void (*const keep_##name)(void) = name;

PB_TFLITE_FUNCTIONS(PB_KEEP)
PB_TFLITE_OPTIONAL_FUNCTIONS(PB_KEEP)
