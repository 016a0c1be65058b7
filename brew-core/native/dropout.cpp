// Dropout on the CPU whose mask costs less than the layer it follows, with the addition of a residual.
//
// libtorch draws a mask on one thread, one number at a time; here every thread draws its own part.

#include "draws.h"
#include "guard.h"

#include <ATen/Dispatch.h>
#include <ATen/OpMathType.h>
#include <ATen/Parallel.h>
#include <ATen/core/grad_mode.h>
#include <ATen/ops/empty.h>
#include <ATen/ops/empty_like.h>
#include <torch/csrc/autograd/custom_function.h>

#include <algorithm>
#include <optional>

using brew::guarded;
using brew::tensor;

namespace {

// Elements a thread works on at a time: what it draws stays in its nearest cache.
constexpr int64_t A_BLOCK = 2048;
constexpr int64_t A_THREAD = 16384;

template <typename Work>
void in_blocks(int64_t count, const Work& work) {
    const int64_t blocks = (count + A_BLOCK - 1) / A_BLOCK;
    at::parallel_for(0, blocks, A_THREAD / A_BLOCK, [&](int64_t first, int64_t last) {
        for (int64_t block = first; block < last; ++block) {
            const int64_t start = block * A_BLOCK;
            work(start, std::min(A_BLOCK, count - start));
        }
    });
}

struct Dropout : torch::autograd::Function<Dropout> {
    static at::Tensor forward(torch::autograd::AutogradContext* context, const at::Tensor& input,
                              const std::optional<at::Tensor>& residual, double probability) {
        const auto values = input.contiguous();
        const bool adds = residual.has_value();
        const auto added = adds ? residual->contiguous() : at::Tensor();
        const brew::Share share(probability);
        const auto key = brew::draw_key();
        auto output = at::empty_like(values);
        auto mask = at::empty(values.sizes(), values.options().dtype(at::kByte));
        auto* keep = mask.data_ptr<uint8_t>();
        AT_DISPATCH_FLOATING_TYPES_AND2(at::kBFloat16, at::kHalf, values.scalar_type(), "dropout", [&] {
            const auto* from = values.const_data_ptr<scalar_t>();
            const auto* plus = adds ? added.const_data_ptr<scalar_t>() : nullptr;
            auto* to = output.mutable_data_ptr<scalar_t>();
            using wide = at::opmath_type<scalar_t>;
            const auto factor = static_cast<wide>(share.scale);
            in_blocks(values.numel(), [&](int64_t start, int64_t count) {
                brew::draw(keep + start, 0, start, count, key, share.dropped);
                for (int64_t index = start; index < start + count; ++index) {
                    const wide kept = static_cast<wide>(from[index]) * (static_cast<wide>(keep[index]) * factor);
                    to[index] = static_cast<scalar_t>(adds ? kept + static_cast<wide>(plus[index]) : kept);
                }
            });
        });
        context->save_for_backward({mask});
        context->saved_data["scale"] = share.scale;
        context->saved_data["adds"] = adds;
        return output;
    }

    static torch::autograd::variable_list backward(torch::autograd::AutogradContext* context,
                                                   torch::autograd::variable_list gradients) {
        TORCH_CHECK(!at::GradMode::is_enabled(), "dropout has no second derivative");
        const auto gradient = gradients[0].contiguous();
        const auto mask = context->get_saved_variables()[0];
        const double scale = context->saved_data["scale"].toDouble();
        auto output = at::empty_like(gradient);
        const auto* keep = mask.const_data_ptr<uint8_t>();
        AT_DISPATCH_FLOATING_TYPES_AND2(at::kBFloat16, at::kHalf, gradient.scalar_type(), "dropout", [&] {
            const auto* from = gradient.const_data_ptr<scalar_t>();
            auto* to = output.mutable_data_ptr<scalar_t>();
            using wide = at::opmath_type<scalar_t>;
            const auto factor = static_cast<wide>(scale);
            in_blocks(gradient.numel(), [&](int64_t start, int64_t count) {
                for (int64_t index = start; index < start + count; ++index) {
                    to[index] = static_cast<scalar_t>(static_cast<wide>(from[index]) *
                                                      (static_cast<wide>(keep[index]) * factor));
                }
            });
        });
        return {output, context->saved_data["adds"].toBool() ? gradients[0] : at::Tensor(), at::Tensor()};
    }
};

}  // namespace

extern "C" {

// Dropout of `input`, plus `residual` of the same shape where it is not null; a new tensor with its gradient.
char* brew_dropout(Raw input, Raw residual, double probability, Raw* output) {
    return guarded([&] {
        TORCH_CHECK(output != nullptr, "dropout has nowhere to go");
        brew::check_probability(probability);
        const auto& values = tensor(input, "input");
        TORCH_CHECK(values.device().is_cpu(), "this dropout is for the CPU, its input is on ", values.device());
        std::optional<at::Tensor> added;
        if (residual != nullptr) {
            added = tensor(residual, "residual");
            TORCH_CHECK(added->sizes() == values.sizes() && added->device() == values.device() &&
                            added->scalar_type() == values.scalar_type(),
                        "the residual is ", added->scalar_type(), added->sizes(), " on ", added->device(),
                        ", the input ", values.scalar_type(), values.sizes());
        }
        *output = new at::Tensor(Dropout::apply(values, added, probability));
    });
}

}  // extern "C"
