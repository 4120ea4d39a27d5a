// ONNX Runtime comes as a static library. This makes the linker take it into the framework, with its one entry point.
extern const void *OrtGetApiBase(void);
__attribute__((used)) static const void *(*const keep)(void) = OrtGetApiBase;
