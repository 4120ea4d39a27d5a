/*
 * Implements the native calls of TensorFlow Lite's Java classes 2.16.1 with a desktop build of version 2.6.
 *
 * Between these versions, the class of tensors was renamed, signatures became objects, and an interpreter gets its
 * delegates when it is created. Nothing is computed here: each call is passed on to the desktop build. The JVM finds
 * calls with the same name in both versions there by itself. Calls that the adapter never makes are missing.
 */
#define _GNU_SOURCE
#include <dlfcn.h>
#include <jni.h>
#include <stdlib.h>

#define LITE(class, method) Java_org_tensorflow_lite_##class##_##method
#define OLDER(type, name, ...) extern type JNICALL name(JNIEnv *, jclass, __VA_ARGS__)

/* A call with one handle as its parameter. */
#define RENAMED(type, name, older)                                                                                     \
    OLDER(type, older, jlong);                                                                                         \
    JNIEXPORT type JNICALL name(JNIEnv *env, jclass class, jlong handle) { return older(env, class, handle); }
#define OF_A_TENSOR(type, method) RENAMED(type, LITE(TensorImpl, method), LITE(Tensor, method))

OF_A_TENSOR(void, delete)
OF_A_TENSOR(jobject, buffer)
OF_A_TENSOR(jint, dtype)
OF_A_TENSOR(jintArray, shape)
OF_A_TENSOR(jintArray, shapeSignature)
OF_A_TENSOR(jint, numBytes)
OF_A_TENSOR(jboolean, hasDelegateBufferHandle)
OF_A_TENSOR(jint, index)
OF_A_TENSOR(jstring, name)
OF_A_TENSOR(jfloat, quantizationScale)
OF_A_TENSOR(jint, quantizationZeroPoint)
RENAMED(jobjectArray, LITE(NativeInterpreterWrapper, getSignatureKeys),
        LITE(NativeInterpreterWrapper, getSignatureDefNames))
RENAMED(void, LITE(nnapi_NnApiDelegateImpl, deleteDelegate), LITE(nnapi_NnApiDelegate, deleteDelegate))
RENAMED(jint, LITE(nnapi_NnApiDelegateImpl, getNnapiErrno), LITE(nnapi_NnApiDelegate, getNnapiErrno))

OLDER(jlong, LITE(Tensor, create), jlong, jint);
OLDER(void, LITE(Tensor, writeDirectBuffer), jlong, jobject);
OLDER(void, LITE(NativeInterpreterWrapper, applyDelegate), jlong, jlong, jlong);
OLDER(void, LITE(NativeInterpreterWrapper, useXNNPACK), jlong, jlong, jint, jint);
OLDER(jint, LITE(NativeInterpreterWrapper, getInputCount), jlong);
OLDER(jint, LITE(NativeInterpreterWrapper, getInputTensorIndex), jlong, jint);
OLDER(jobjectArray, LITE(NativeInterpreterWrapper, getSignatureInputs), jlong, jstring);
OLDER(jint, LITE(NativeInterpreterWrapper, getInputTensorIndexFromSignature), jlong, jstring, jstring);
OLDER(jlong, LITE(nnapi_NnApiDelegate, createDelegate), jint, jstring, jstring, jstring, jint, jboolean, jboolean,
      jboolean);
extern jstring JNICALL LITE(TensorFlowLite, nativeRuntimeVersion)(JNIEnv *, jclass);

JNIEXPORT void JNICALL LITE(TensorFlowLite, nativeDoNothing)(JNIEnv *env, jclass class) {}

JNIEXPORT jstring JNICALL LITE(InterpreterFactoryImpl, nativeRuntimeVersion)(JNIEnv *env, jclass class) {
    return LITE(TensorFlowLite, nativeRuntimeVersion)(env, class);
}

JNIEXPORT jlong JNICALL LITE(TensorImpl, create)(JNIEnv *env, jclass class, jlong interpreter, jint index,
                                                 jint subgraph) {
    return LITE(Tensor, create)(env, class, interpreter, index);
}

JNIEXPORT void JNICALL LITE(TensorImpl, writeDirectBuffer)(JNIEnv *env, jclass class, jlong tensor, jobject from) {
    LITE(Tensor, writeDirectBuffer)(env, class, tensor, from);
}

JNIEXPORT jlong JNICALL LITE(nnapi_NnApiDelegateImpl, createDelegate)(
    JNIEnv *env, jclass class, jint preference, jstring accelerator, jstring cache, jstring token, jint partitions,
    jboolean failing, jboolean cpu, jboolean half, jlong library) {
    return LITE(nnapi_NnApiDelegate, createDelegate)(env, class, preference, accelerator, cache, token, partitions,
                                                     failing, cpu, half);
}

/* The handle of the delegate at an index of a list of Long. */
static jlong delegate_at(JNIEnv *env, jobject delegates, jint at) {
    jclass list = (*env)->FindClass(env, "java/util/List");
    jclass number = (*env)->FindClass(env, "java/lang/Long");
    jmethodID get = (*env)->GetMethodID(env, list, "get", "(I)Ljava/lang/Object;");
    jobject element = (*env)->CallObjectMethod(env, delegates, get, at);
    return (*env)->CallLongMethod(env, element, (*env)->GetMethodID(env, number, "longValue", "()J"));
}

static jint length(JNIEnv *env, jobject list) {
    jclass class = (*env)->FindClass(env, "java/util/List");
    return (*env)->CallIntMethod(env, list, (*env)->GetMethodID(env, class, "size", "()I"));
}

/* The only call with the same name but other parameters. The older one is the next symbol of that name. */
JNIEXPORT jlong JNICALL LITE(NativeInterpreterWrapper, createInterpreter)(JNIEnv *env, jclass class, jlong model,
                                                                          jlong errors, jint threads, jboolean xnnpack,
                                                                          jobject delegates) {
    jlong (*older)(JNIEnv *, jclass, jlong, jlong, jint) =
        dlsym(RTLD_NEXT, "Java_org_tensorflow_lite_NativeInterpreterWrapper_createInterpreter");
    jlong interpreter = older(env, class, model, errors, threads);
    jint count = (*env)->ExceptionCheck(env) ? 0 : length(env, delegates);
    for (jint at = 0; at < count && !(*env)->ExceptionCheck(env); at++) {
        LITE(NativeInterpreterWrapper, applyDelegate)(env, class, interpreter, errors, delegate_at(env, delegates, at));
    }
    if (!(*env)->ExceptionCheck(env)) {
        LITE(NativeInterpreterWrapper, useXNNPACK)(env, class, interpreter, errors, xnnpack, threads);
    }
    return interpreter;
}

/* A signature: an object in the newer library, and a name in each call of the older one. Never freed, as there. */
struct signature {
    jlong interpreter;
    jobject key;
};

static struct signature *signature_of(jlong handle) { return (struct signature *)handle; }

JNIEXPORT jlong JNICALL LITE(NativeSignatureRunnerWrapper, nativeGetSignatureRunner)(JNIEnv *env, jclass class,
                                                                                     jlong interpreter, jstring key) {
    struct signature *made = malloc(sizeof *made);
    made->interpreter = interpreter;
    made->key = (*env)->NewGlobalRef(env, key);
    return (jlong)made;
}

JNIEXPORT jint JNICALL LITE(NativeSignatureRunnerWrapper, nativeGetSubgraphIndex)(JNIEnv *env, jclass class,
                                                                                  jlong handle) {
    return 0;
}

JNIEXPORT jobjectArray JNICALL LITE(NativeSignatureRunnerWrapper, nativeInputNames)(JNIEnv *env, jclass class,
                                                                                    jlong handle) {
    struct signature *of = signature_of(handle);
    return LITE(NativeInterpreterWrapper, getSignatureInputs)(env, class, of->interpreter, of->key);
}

/* The older library returns the tensor; the newer one returns its index among the inputs, or -1. */
JNIEXPORT jint JNICALL LITE(NativeSignatureRunnerWrapper, nativeGetInputIndex)(JNIEnv *env, jclass class, jlong handle,
                                                                               jstring name) {
    struct signature *of = signature_of(handle);
    jint tensor =
        LITE(NativeInterpreterWrapper, getInputTensorIndexFromSignature)(env, class, of->interpreter, name, of->key);
    jint at = LITE(NativeInterpreterWrapper, getInputCount)(env, class, of->interpreter) - 1;
    while (at >= 0 && LITE(NativeInterpreterWrapper, getInputTensorIndex)(env, class, of->interpreter, at) != tensor) {
        at--;
    }
    return at;
}
