// Autocast with a chosen dtype, fused optimizers, and operations over lists of tensors.

#include "guard.h"

#include <ATen/autocast_mode.h>
#include <ATen/ops/_amp_foreach_non_finite_check_and_unscale.h>
#include <ATen/ops/_amp_update_scale.h>
#include <ATen/ops/_foreach_mul.h>
#include <ATen/ops/_foreach_norm.h>
#include <ATen/ops/_fused_adam.h>
#include <ATen/ops/_fused_adamw.h>
#include <ATen/ops/_fused_sgd.h>
#include <ATen/ops/linalg_vector_norm.h>
#include <ATen/ops/stack.h>
#include <ATen/ops/zeros.h>

using brew::alike;
using brew::guarded;
using brew::list;
using brew::tensor;

namespace {

at::DeviceType device_type(int cuda) { return cuda != 0 ? at::kCUDA : at::kCPU; }

}  // namespace

extern "C" {

void brew_free(char* message) { free(message); }

// Sets autocast of this thread and tells what it was, to be put back by another call.
char* brew_autocast_set(int cuda, int enabled, int kind, int* was_enabled, int* was_kind) {
    return guarded([&] {
        TORCH_CHECK(was_enabled != nullptr && was_kind != nullptr, "autocast has nowhere to tell what it was");
        const auto device = device_type(cuda);
        *was_enabled = at::autocast::is_autocast_enabled(device) ? 1 : 0;
        *was_kind = static_cast<int>(at::autocast::get_autocast_dtype(device));
        at::autocast::set_autocast_dtype(device, static_cast<at::ScalarType>(kind));
        at::autocast::set_autocast_enabled(device, enabled != 0);
    });
}

// Nesting decides when the low-precision copies of weights are dropped: at the outermost leave.
char* brew_autocast_enter() {
    return guarded([] { at::autocast::increment_nesting(); });
}

char* brew_autocast_leave() {
    return guarded([] {
        if (at::autocast::decrement_nesting() == 0) {
            at::autocast::clear_cache();
        }
    });
}

char* brew_fused_adam(int decoupled, const Raw* parameters, const Raw* gradients, const Raw* first,
                      const Raw* second, const Raw* steps, size_t count, double learning_rate, double beta1,
                      double beta2, double weight_decay, double epsilon) {
    return guarded([&] {
        auto self = list(parameters, count, "parameters");
        auto grads = list(gradients, count, "gradients");
        auto averages = list(first, count, "first moments");
        auto squares = list(second, count, "second moments");
        auto counts = list(steps, count, "steps");
        alike(self, grads, "gradients");
        alike(self, averages, "first moments");
        alike(self, squares, "second moments");
        for (const auto& steps_of_one : counts) {
            TORCH_CHECK(steps_of_one.dim() == 0 && steps_of_one.scalar_type() == at::kFloat,
                        "a count of steps must be a float32 scalar");
        }
        at::NoGradGuard no_grad;
        if (decoupled != 0) {
            at::_fused_adamw_(self, grads, averages, squares, {}, counts, learning_rate, beta1, beta2, weight_decay,
                              epsilon, /*amsgrad=*/false, /*maximize=*/false);
        } else {
            at::_fused_adam_(self, grads, averages, squares, {}, counts, learning_rate, beta1, beta2, weight_decay,
                             epsilon, /*amsgrad=*/false, /*maximize=*/false);
        }
    });
}

char* brew_fused_sgd(const Raw* parameters, const Raw* gradients, const Raw* momenta, size_t count,
                     double weight_decay, double momentum, double learning_rate, int nesterov) {
    return guarded([&] {
        auto self = list(parameters, count, "parameters");
        auto grads = list(gradients, count, "gradients");
        alike(self, grads, "gradients");
        std::vector<at::Tensor> buffers;
        if (momentum != 0.0) {
            buffers = list(momenta, count, "momenta");
            alike(self, buffers, "momenta");
        }
        at::NoGradGuard no_grad;
        // A momentum of zeros is what a first step would put there.
        at::_fused_sgd_(self, grads, buffers, weight_decay, momentum, learning_rate, /*dampening=*/0.0,
                        nesterov != 0, /*maximize=*/false, /*is_first_step=*/false);
    });
}

// The L2 norm over all tensors of a list, a new scalar in float32 or wider.
char* brew_global_norm(const Raw* tensors, size_t count, Raw* norm) {
    return guarded([&] {
        TORCH_CHECK(norm != nullptr, "the norm has nowhere to go");
        auto self = list(tensors, count, "tensors");
        TORCH_CHECK(!self.empty(), "a norm of no tensors");
        at::NoGradGuard no_grad;
        const auto wide = self.front().scalar_type() == at::kDouble ? at::kDouble : at::kFloat;
        auto norms = at::_foreach_norm(self, 2, wide);
        *norm = new at::Tensor(at::linalg_vector_norm(at::stack(norms)));
    });
}

// Leaves parameters without a gradient, so that the next backward pass gives them its own memory.
char* brew_clear_gradients(const Raw* parameters, size_t count) {
    return guarded([&] {
        for (auto& parameter : list(parameters, count, "parameters")) {
            parameter.mutable_grad() = at::Tensor();
        }
    });
}

// Gives a parameter this gradient, which must be like it.
char* brew_set_gradient(Raw parameter, Raw gradient) {
    return guarded([&] {
        auto& self = tensor(parameter, "parameter");
        const auto& given = tensor(gradient, "gradient");
        TORCH_CHECK(self.sizes() == given.sizes() && self.scalar_type() == given.scalar_type() &&
                        self.device() == given.device(),
                    "the gradient is ", given.scalar_type(), given.sizes(), ", its parameter ", self.scalar_type(),
                    self.sizes());
        self.mutable_grad() = given;
    });
}

// Multiplies every tensor of a list by a scalar tensor on the same device, in place.
char* brew_multiply_all(const Raw* tensors, size_t count, Raw factor) {
    return guarded([&] {
        auto self = list(tensors, count, "tensors");
        at::NoGradGuard no_grad;
        at::_foreach_mul_(self, tensor(factor, "factor"));
    });
}

// Multiplies gradients by `inverse_scale` in place; `found_infinite` becomes 1 where one is not finite.
char* brew_unscale(const Raw* gradients, size_t count, Raw found_infinite, Raw inverse_scale) {
    return guarded([&] {
        auto self = list(gradients, count, "gradients");
        at::NoGradGuard no_grad;
        at::_amp_foreach_non_finite_check_and_unscale_(self, tensor(found_infinite, "found_infinite"),
                                                       tensor(inverse_scale, "inverse_scale"));
    });
}

// Backs the scale off where a gradient was not finite, and lets it grow after so many good steps.
char* brew_update_scale(Raw scale, Raw growth_tracker, Raw found_infinite, double growth, double backoff,
                        int64_t interval) {
    return guarded([&] {
        at::NoGradGuard no_grad;
        at::_amp_update_scale_(tensor(scale, "scale"), tensor(growth_tracker, "growth_tracker"),
                               tensor(found_infinite, "found_infinite"), growth, backoff, interval);
    });
}

}  // extern "C"
