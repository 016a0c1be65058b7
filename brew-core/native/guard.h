// What every function of the shim begins and ends with.
//
// A function returns nullptr, or a message that its caller frees with `brew_free`. No exception leaves
// it, of whatever type: an exception that reaches Rust ends the process.
#pragma once

#include <ATen/core/Tensor.h>
#include <c10/util/Exception.h>

#include <cstdint>
#include <cstring>
#include <string>
#include <vector>

using Raw = at::Tensor*;

namespace brew {

inline char* message(const char* text) {
    return strdup(text == nullptr ? "an error without a message" : text);
}

template <typename Body>
char* guarded(Body&& body) {
    try {
        body();
        return nullptr;
    } catch (const c10::Error& error) {
        return message(error.what_without_backtrace());
    } catch (const std::exception& error) {
        return message(error.what());
    } catch (...) {
        return message("an exception of an unknown type");
    }
}

// The tensor behind a pointer, which must be there and defined.
inline at::Tensor& tensor(Raw raw, const char* name) {
    TORCH_CHECK(raw != nullptr && raw->defined(), "`", name, "` is undefined");
    return *raw;
}

inline std::vector<at::Tensor> list(const Raw* raw, size_t count, const char* name) {
    TORCH_CHECK(raw != nullptr || count == 0, "`", name, "` is a null pointer");
    std::vector<at::Tensor> tensors;
    tensors.reserve(count);
    for (size_t index = 0; index < count; ++index) {
        tensors.push_back(tensor(raw[index], name));
    }
    return tensors;
}

// The fused kernels walk the memory of their lists side by side and check none of this themselves.
inline void alike(const std::vector<at::Tensor>& left, const std::vector<at::Tensor>& right, const char* name) {
    TORCH_CHECK(left.size() == right.size(), "`", name, "` has ", right.size(), " tensors for ", left.size(),
                " parameters");
    for (size_t index = 0; index < left.size(); ++index) {
        const auto& one = left[index];
        const auto& other = right[index];
        TORCH_CHECK(one.sizes() == other.sizes() && one.scalar_type() == other.scalar_type() &&
                        one.device() == other.device(),
                    "`", name, "`[", index, "] is ", other.scalar_type(), other.sizes(), " on ", other.device(),
                    ", its parameter ", one.scalar_type(), one.sizes(), " on ", one.device());
        TORCH_CHECK(one.is_contiguous() && other.is_contiguous(), "`", name, "`[", index,
                    "] or its parameter is not contiguous");
    }
}

}  // namespace brew
