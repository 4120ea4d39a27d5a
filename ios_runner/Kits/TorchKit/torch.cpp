// PyTorch's lite interpreter as a kit. A timed call is the module's `forward`.
#include "kit.h"

#include <ATen/ATen.h>
#include <ATen/Context.h>
#include <ATen/Parallel.h>
#include <torch/csrc/jit/mobile/import.h>
#include <torch/csrc/jit/mobile/module.h>

#include <cstdio>
#include <exception>
#include <stdexcept>
#include <string>
#include <vector>

// The header with the version has moved from release to release.
#if __has_include(<torch/headeronly/version.h>)
#include <torch/headeronly/version.h>
#elif __has_include(<torch/csrc/api/include/torch/version.h>)
#include <torch/csrc/api/include/torch/version.h>
#endif
#ifndef TORCH_VERSION
#define TORCH_VERSION "LibTorch-Lite"
#endif

struct pb_model {
    torch::jit::mobile::Module module;
    std::vector<c10::IValue> inputs;
    std::vector<at::Tensor> outputs;
};

namespace {

int32_t fail(char *error, const char *reason) {
    std::snprintf(error, PB_KIT_ERROR_BYTES, "%s", reason);
    return 0;
}

// Runs `body` and turns what it throws into a reason: nothing may be thrown into Swift.
template <typename Body>
int32_t guarded(char *error, Body body) {
    try {
        body();
        return 1;
    } catch (const c10::Error &thrown) {
        return fail(error, thrown.what_without_backtrace());
    } catch (const std::exception &thrown) {
        return fail(error, thrown.what());
    } catch (...) {
        return fail(error, "an error without a description");
    }
}

struct Pair {
    pb_type type;
    at::ScalarType scalar;
};
constexpr Pair pairs[] = {
    {PB_FLOAT32, at::kFloat}, {PB_FLOAT16, at::kHalf}, {PB_FLOAT64, at::kDouble},
    {PB_INT64, at::kLong},    {PB_INT32, at::kInt},    {PB_INT16, at::kShort},
    {PB_INT8, at::kChar},     {PB_UINT8, at::kByte},   {PB_BOOL, at::kBool},
};

at::ScalarType scalar_of(pb_type type) {
    for (const Pair &pair : pairs) {
        if (pair.type == type) return pair.scalar;
    }
    return at::ScalarType::Undefined;
}

pb_type type_of(at::ScalarType scalar) {
    for (const Pair &pair : pairs) {
        if (pair.scalar == scalar) return pair.type;
    }
    return PB_OTHER;
}

// The tensors of a result: one, or those of a tuple or a list.
void collect(const c10::IValue &value, std::vector<at::Tensor> &tensors) {
    if (value.isTensor()) {
        tensors.push_back(value.toTensor());
    } else if (value.isTuple()) {
        for (const c10::IValue &item : value.toTupleRef().elements()) collect(item, tensors);
    } else if (value.isTensorList()) {
        for (const at::Tensor &item : value.toTensorVector()) tensors.push_back(item);
    } else {
        throw std::runtime_error("an output is no tensor, and phonebench supports only tensors");
    }
}

// The engine for quantised operators that is made for phones. A computer has others, which round differently.
void use_engine_of_phones() {
    at::Context &context = at::globalContext();
    for (at::QEngine engine : context.supportedQEngines()) {
        if (engine == at::QEngine::QNNPACK) context.setQEngine(engine);
    }
}

const char *version() { return TORCH_VERSION; }

pb_model *load(const char *path, int32_t threads, char *error) {
    pb_model *model = nullptr;
    guarded(error, [&] {
        at::set_num_threads(threads);
        use_engine_of_phones();
        model = new pb_model{torch::jit::_load_for_mobile(std::string(path), at::kCPU), {}, {}};
    });
    return model;
}

const char *backends(pb_model *) { return ""; }

const char *missing_backend(const char *, char *) { return nullptr; }

int32_t input_count(pb_model *) { return -1; }

int32_t input(pb_model *, int32_t, pb_tensor *) { return 0; }

int32_t set_inputs(pb_model *model, const pb_tensor *tensors, int32_t count, char *error) {
    return guarded(error, [&] {
        model->inputs.clear();
        for (int32_t at = 0; at < count; at++) {
            const pb_tensor &tensor = tensors[at];
            at::IntArrayRef sizes(tensor.sizes, static_cast<size_t>(tensor.rank));
            model->inputs.emplace_back(at::from_blob(tensor.data, sizes, scalar_of(tensor.type)));
        }
    });
}

int32_t invoke(pb_model *model, char *error) {
    return guarded(error, [&] {
        c10::InferenceMode mode;
        c10::IValue result = model->module.forward(model->inputs);
        model->outputs.clear();
        collect(result, model->outputs);
    });
}

int32_t output_count(pb_model *model) { return static_cast<int32_t>(model->outputs.size()); }

int32_t output(pb_model *model, int32_t at, pb_tensor *view, char *error) {
    return guarded(error, [&] {
        at::Tensor &tensor = model->outputs[static_cast<size_t>(at)];
        if (tensor.is_quantized()) tensor = tensor.dequantize();
        tensor = tensor.to(at::kCPU).contiguous();
        if (tensor.dim() > PB_KIT_MOST_DIMENSIONS) throw std::runtime_error("an output has too many dimensions");
        view->type = type_of(tensor.scalar_type());
        view->rank = static_cast<int32_t>(tensor.dim());
        for (int32_t axis = 0; axis < view->rank; axis++) view->sizes[axis] = tensor.size(axis);
        view->data = tensor.data_ptr();
    });
}

void unload(pb_model *model) { delete model; }

const pb_kit table = {
    PB_KIT_VERSION, version,    load,   backends,     missing_backend, input_count,
    input,          set_inputs, invoke, output_count, output,          unload,
};

}  // namespace

extern "C" __attribute__((visibility("default"))) const pb_kit *pb_kit_get(void) { return &table; }
