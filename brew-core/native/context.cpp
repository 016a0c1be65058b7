// The state that belongs to the process: generators, determinism, TF32, the allocator, CUDA itself.

#include "guard.h"

#include <ATen/CPUGeneratorImpl.h>
#include <ATen/Context.h>
#include <c10/core/CachingDeviceAllocator.h>
#include <dlfcn.h>

using brew::guarded;
using brew::tensor;

namespace {

void check_cuda(int device) {
    TORCH_CHECK(device >= 0 && static_cast<size_t>(device) < at::getNumGPUs(), "there is no CUDA device ", device);
}

// A negative device is the CPU.
at::Generator generator(int device) {
    if (device < 0) {
        return at::detail::getDefaultCPUGenerator();
    }
    check_cuda(device);
    return at::globalContext().defaultGenerator(at::Device(at::kCUDA, static_cast<c10::DeviceIndex>(device)));
}

}  // namespace

extern "C" {

char* brew_generator_state(int device, Raw* state) {
    return guarded([&] {
        TORCH_CHECK(state != nullptr, "the generator's state has nowhere to go");
        auto found = generator(device);
        std::lock_guard<std::mutex> lock(found.mutex());
        *state = new at::Tensor(found.get_state());
    });
}

char* brew_set_generator_state(int device, Raw state) {
    return guarded([&] {
        auto found = generator(device);
        const auto& given = tensor(state, "state");
        TORCH_CHECK(given.scalar_type() == at::kByte && given.device().is_cpu() && given.is_contiguous(),
                    "a generator's state is a contiguous uint8 tensor on the CPU");
        std::lock_guard<std::mutex> lock(found.mutex());
        found.set_state(given);
    });
}

char* brew_set_deterministic(int enabled) {
    return guarded([&] {
        at::globalContext().setDeterministicAlgorithms(enabled != 0, /*warn_only=*/false);
        at::globalContext().setDeterministicCuDNN(enabled != 0);
        at::globalContext().setDeterministicFillUninitializedMemory(false);
    });
}

char* brew_set_tf32(int enabled) {
    return guarded([&] {
        at::globalContext().setAllowTF32CuBLAS(enabled != 0);
        at::globalContext().setAllowTF32CuDNN(enabled != 0);
    });
}

// Bytes in use now, at most, and held by the allocator; bytes of failed attempts are not counted.
char* brew_cuda_memory(int device, int64_t* allocated, int64_t* peak, int64_t* reserved) {
    return guarded([&] {
        TORCH_CHECK(allocated != nullptr && peak != nullptr && reserved != nullptr, "the numbers have nowhere to go");
        check_cuda(device);
        const auto stats =
            c10::getDeviceAllocator(at::kCUDA)->getDeviceStats(static_cast<c10::DeviceIndex>(device));
        const auto total = static_cast<size_t>(c10::CachingAllocator::StatType::AGGREGATE);
        *allocated = stats.allocated_bytes[total].current;
        *peak = stats.allocated_bytes[total].peak;
        *reserved = stats.reserved_bytes[total].current;
    });
}

// Opens libtorch_cuda beside libtorch_cpu, where it is: a linker drops it from a program that calls
// nothing of it by name, and then CUDA is missing without a word. `found` says whether it is there.
char* brew_load_cuda(int* found) {
    return guarded([&] {
        TORCH_CHECK(found != nullptr, "the answer has nowhere to go");
        *found = 0;
        Dl_info info;
        TORCH_CHECK(dladdr(reinterpret_cast<void*>(&at::globalContext), &info) != 0 && info.dli_fname != nullptr,
                    "the folder of libtorch_cpu is unknown");
        std::string path(info.dli_fname);
        const auto slash = path.rfind('/');
        path = (slash == std::string::npos ? std::string() : path.substr(0, slash + 1)) + "libtorch_cuda.so";
        FILE* file = fopen(path.c_str(), "rb");
        if (file == nullptr) {
            return;
        }
        fclose(file);
        TORCH_CHECK(dlopen(path.c_str(), RTLD_NOW | RTLD_GLOBAL) != nullptr, dlerror());
        *found = 1;
    });
}

}  // extern "C"

namespace {

// At the start of the program, so that the first question whether there is CUDA has the right answer. An
// error is told by the next call, which finds the same.
[[maybe_unused]] const bool loaded_at_start = [] {
    int found = 0;
    free(brew_load_cuda(&found));
    return found != 0;
}();

}  // namespace
