// ExecuTorch as a kit. A timed call sets the inputs, executes, and fetches the outputs: the memory plan of a program may
// reuse the memory of its inputs, so executing alone would compute on garbage from the second call on.
#include "kit.h"

#include <executorch/extension/module/module.h>
#include <executorch/extension/threadpool/threadpool.h>
#include <executorch/runtime/backend/interface.h>

#include <cstdio>
#include <exception>
#include <memory>
#include <string>
#include <vector>

using executorch::aten::ScalarType;
using executorch::aten::SizesType;
using executorch::aten::TensorImpl;
using executorch::extension::Module;
using executorch::runtime::Error;
using executorch::runtime::EValue;

// An input: a tensor of the runtime, which points to its sizes and to the caller's data.
struct Input {
    std::vector<SizesType> sizes;
    std::vector<executorch::aten::DimOrderType> order;
    std::vector<executorch::aten::StridesType> strides;
    std::unique_ptr<TensorImpl> tensor;

    Input(const pb_tensor &from, ScalarType type) : sizes(from.sizes, from.sizes + from.rank) {
        SizesType stride = 1;
        strides.resize(sizes.size());
        for (size_t axis = sizes.size(); axis-- > 0;) {
            strides[axis] = stride;
            stride *= sizes[axis];
        }
        for (size_t axis = 0; axis < sizes.size(); axis++) {
            order.push_back(static_cast<executorch::aten::DimOrderType>(axis));
        }
        tensor = std::make_unique<TensorImpl>(
            type, static_cast<ssize_t>(sizes.size()), sizes.data(), from.data, order.data(), strides.data());
    }
};

struct pb_model {
    std::unique_ptr<Module> module;
    std::string backends;
    std::vector<Input> tensors;
    std::vector<EValue> inputs;
    std::vector<EValue> outputs;
};

namespace {

constexpr const char *METHOD = "forward";

int32_t fail(char *error, const std::string &reason) {
    std::snprintf(error, PB_KIT_ERROR_BYTES, "%s", reason.c_str());
    return 0;
}

int32_t failed(char *error, const char *step, Error code) {
    return fail(error, std::string(step) + " ended with error " + std::to_string(static_cast<int>(code)));
}

struct Pair {
    pb_type type;
    ScalarType scalar;
};
constexpr Pair pairs[] = {
    {PB_FLOAT32, ScalarType::Float}, {PB_FLOAT16, ScalarType::Half}, {PB_FLOAT64, ScalarType::Double},
    {PB_INT64, ScalarType::Long},    {PB_INT32, ScalarType::Int},    {PB_INT16, ScalarType::Short},
    {PB_INT8, ScalarType::Char},     {PB_UINT8, ScalarType::Byte},   {PB_BOOL, ScalarType::Bool},
};

ScalarType scalar_of(pb_type type) {
    for (const Pair &pair : pairs) {
        if (pair.type == type) return pair.scalar;
    }
    return ScalarType::Undefined;
}

pb_type type_of(ScalarType scalar) {
    for (const Pair &pair : pairs) {
        if (pair.scalar == scalar) return pair.type;
    }
    return PB_OTHER;
}

// The backends that the method uses, joined by commas.
std::string backends_of(Module &module) {
    auto meta = module.method_meta(METHOD);
    std::string names;
    for (size_t at = 0; meta.ok() && at < meta->num_backends(); at++) {
        auto name = meta->get_backend_name(at);
        if (name.ok()) names += (names.empty() ? "" : ",") + std::string(*name);
    }
    return names;
}

const char *version() {
#ifdef PB_EXECUTORCH_VERSION
    return PB_EXECUTORCH_VERSION;
#else
    return "react-native-executorch 0.9.3";
#endif
}

pb_model *load(const char *path, int32_t threads, char *error) try {
    if (auto *pool = executorch::extension::threadpool::get_threadpool()) {
        pool->_unsafe_reset_threadpool(static_cast<uint32_t>(threads));
    }
    auto model = std::make_unique<pb_model>();
    model->module = std::make_unique<Module>(std::string(path), Module::LoadMode::Mmap);
    model->backends = backends_of(*model->module);
    // The backend prepares its blobs here, so that this counts as part of the load and not of the first call.
    Error code = model->module->load_method(METHOD);
    if (code != Error::Ok) {
        failed(error, "loading the method", code);
        return nullptr;
    }
    return model.release();
} catch (const std::exception &thrown) {
    fail(error, thrown.what());
    return nullptr;
}

const char *backends(pb_model *model) { return model->backends.c_str(); }

#ifdef PB_EXECUTORCH_HIDES_BACKENDS
// The library that the tests use on Linux has another registry in the place of its own.
const char *missing_backend(const char *, char *) { return nullptr; }
#else
const char *missing_backend(const char *path, char *) try {
    static thread_local std::string missing;
    Module module(std::string(path), Module::LoadMode::Mmap);
    auto meta = module.method_meta(METHOD);
    for (size_t at = 0; meta.ok() && at < meta->num_backends(); at++) {
        auto name = meta->get_backend_name(at);
        if (name.ok() && executorch::runtime::get_backend_class(*name) == nullptr) {
            missing = *name;
            return missing.c_str();
        }
    }
    return nullptr;
} catch (const std::exception &) {
    // `load` reports what is wrong with the file.
    return nullptr;
}
#endif

int32_t input_count(pb_model *model) {
    auto meta = model->module->method_meta(METHOD);
    return meta.ok() ? static_cast<int32_t>(meta->num_inputs()) : -1;
}

int32_t input(pb_model *model, int32_t at, pb_tensor *tensor) {
    auto meta = model->module->method_meta(METHOD);
    if (!meta.ok()) return 0;
    auto facts = meta->input_tensor_meta(static_cast<size_t>(at));
    if (!facts.ok() || facts->sizes().size() > PB_KIT_MOST_DIMENSIONS) return 0;
    tensor->type = type_of(facts->scalar_type());
    tensor->rank = static_cast<int32_t>(facts->sizes().size());
    for (int32_t axis = 0; axis < tensor->rank; axis++) tensor->sizes[axis] = facts->sizes()[axis];
    return 1;
}

int32_t set_inputs(pb_model *model, const pb_tensor *tensors, int32_t count, char *error) try {
    model->tensors.clear();
    model->inputs.clear();
    for (int32_t at = 0; at < count; at++) {
        model->tensors.emplace_back(tensors[at], scalar_of(tensors[at].type));
        model->inputs.emplace_back(executorch::aten::Tensor(model->tensors.back().tensor.get()));
    }
    return 1;
} catch (const std::exception &thrown) {
    return fail(error, thrown.what());
}

int32_t invoke(pb_model *model, char *error) try {
    auto result = model->module->execute(METHOD, model->inputs);
    if (!result.ok()) return failed(error, "executing", result.error());
    model->outputs = std::move(*result);
    return 1;
} catch (const std::exception &thrown) {
    return fail(error, thrown.what());
}

int32_t output_count(pb_model *model) { return static_cast<int32_t>(model->outputs.size()); }

int32_t output(pb_model *model, int32_t at, pb_tensor *view, char *error) {
    const EValue &value = model->outputs[static_cast<size_t>(at)];
    if (!value.isTensor()) return fail(error, "an output is no tensor, and phonebench supports only tensors");
    auto tensor = value.toTensor();
    if (tensor.dim() > PB_KIT_MOST_DIMENSIONS) return fail(error, "an output has too many dimensions");
    view->type = type_of(tensor.scalar_type());
    view->rank = static_cast<int32_t>(tensor.dim());
    for (int32_t axis = 0; axis < view->rank; axis++) view->sizes[axis] = tensor.size(axis);
    view->data = const_cast<void *>(tensor.const_data_ptr());
    return 1;
}

void unload(pb_model *model) { delete model; }

const pb_kit table = {
    PB_KIT_VERSION, version,    load,   backends,     missing_backend, input_count,
    input,          set_inputs, invoke, output_count, output,          unload,
};

}  // namespace

extern "C" __attribute__((visibility("default"))) const pb_kit *pb_kit_get(void) { return &table; }
