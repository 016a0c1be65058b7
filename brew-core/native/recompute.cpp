// Gradient checkpointing: what a part of a model saves for its backward pass is not kept, but computed again
// when the backward pass asks for it.
//
// libtorch asks its engine for hooks whenever an operation saves a tensor. An engine of our own hands out
// hooks of the part that is under way on this thread: they keep a number in place of the tensor. The first
// tensor that is asked for runs the part again, from the same state of the generator and of autocast, and
// its tensors go where the numbers are. The graph, and so the order of every sum, stays what it is without:
// gradients are equal to the last bit. (The idea is that of torch.utils.checkpoint, use_reentrant=False.)

#include "guard.h"

#include <ATen/CPUGeneratorImpl.h>
#include <ATen/Context.h>
#include <ATen/autocast_mode.h>
#include <ATen/core/grad_mode.h>
#include <torch/csrc/autograd/engine.h>
#include <torch/csrc/autograd/saved_variable_hooks.h>

#include <memory>

using brew::guarded;

namespace {

// Runs the part again; on failure it is not 0, and writes why to `message`, of so many bytes with its zero.
using Again = int (*)(void* context, char* message, size_t capacity);
using Drop = void (*)(void* context);

at::Generator generator(int device) {
    return device < 0 ? at::detail::getDefaultCPUGenerator()
                      : at::globalContext().defaultGenerator(
                            at::Device(at::kCUDA, static_cast<c10::DeviceIndex>(device)));
}

at::Tensor state_of(at::Generator& from) {
    std::lock_guard<std::mutex> lock(from.mutex());
    return from.get_state();
}

void set_state(at::Generator& to, const at::Tensor& state) {
    std::lock_guard<std::mutex> lock(to.mutex());
    to.set_state(state);
}

// Generator and autocast as they are now, or as they were and are to be again.
struct Circumstances {
    at::Generator source;
    at::DeviceType type;
    at::Tensor state;
    bool autocast;
    at::ScalarType kind;

    explicit Circumstances(int device)
        : source(generator(device)),
          type(device < 0 ? at::kCPU : at::kCUDA),
          state(state_of(source)),
          autocast(at::autocast::is_autocast_enabled(type)),
          kind(at::autocast::get_autocast_dtype(type)) {}

    void establish() {
        set_state(source, state);
        at::autocast::set_autocast_dtype(type, kind);
        at::autocast::set_autocast_enabled(type, autocast);
    }
};

struct Part;
// The part whose forward pass is under way on this thread, and the one that is run again.
thread_local std::shared_ptr<Part> forward_of;
thread_local Part* again_of = nullptr;

struct Part {
    Again again;
    Drop drop;
    void* context;
    int device;
    Circumstances before;
    // How many tensors the forward pass saved, and those of them that are there again.
    size_t saved = 0;
    std::vector<at::Tensor> tensors;

    Part(Again again, Drop drop, void* context, int device)
        : again(again), drop(drop), context(context), device(device), before(device) {}
    Part(const Part&) = delete;
    ~Part() { drop(context); }

    // A tensor that was saved, which is given away: the memory lasts no longer than its reader.
    at::Tensor take(size_t number) {
        if (number >= tensors.size() || !tensors[number].defined()) {
            run();
        }
        return std::move(tensors[number]);
    }

    void run() {
        // What stands now is put back, whatever happens in between.
        struct Restore {
            Circumstances now;
            Part* was;
            explicit Restore(int device) : now(device), was(again_of) { at::autocast::increment_nesting(); }
            ~Restore() {
                again_of = was;
                now.establish();
                if (at::autocast::decrement_nesting() == 0) {
                    at::autocast::clear_cache();
                }
            }
        } restore(device);
        at::AutoGradMode gradients(true);
        tensors.clear();
        before.establish();
        again_of = this;
        char message[4096] = "";
        const int failed = again(context, message, sizeof(message));
        TORCH_CHECK(failed == 0, "computing activations again: ", message);
        TORCH_CHECK(tensors.size() == saved, "computing activations again saved ", tensors.size(),
                    " tensors where the forward pass saved ", saved,
                    ": the part must do the same each time it is run");
    }
};

// In the forward pass: a number in place of the tensor.
struct Number : torch::autograd::SavedVariableHooks {
    std::shared_ptr<Part> part;
    size_t number = 0;
    explicit Number(std::shared_ptr<Part> part) : part(std::move(part)) {}
    void call_pack_hook(const at::Tensor&) override { number = part->saved++; }
    at::Tensor call_unpack_hook() override { return part->take(number); }
};

// As the part is run again: the tensor goes to the part, and nothing stays in the second graph.
struct Delivery : torch::autograd::SavedVariableHooks {
    void call_pack_hook(const at::Tensor& tensor) override {
        TORCH_CHECK(again_of != nullptr, "a tensor was computed again for nobody");
        again_of->tensors.push_back(tensor.detach());
    }
    at::Tensor call_unpack_hook() override {
        TORCH_CHECK(false, "there is no backward pass through what is computed again");
    }
};

struct Engine : torch::autograd::Engine {
    ~Engine() override { stop(); }
    std::unique_ptr<torch::autograd::SavedVariableHooks> get_default_saved_variable_hooks() override {
        if (again_of != nullptr) {
            return std::make_unique<Delivery>();
        }
        if (forward_of != nullptr) {
            return std::make_unique<Number>(forward_of);
        }
        return nullptr;
    }
};

torch::autograd::Engine& engine() {
    static Engine only;
    return only;
}

// At the start of the program: the first engine that is used starts the threads of the GPUs, and no other
// can have any.
[[maybe_unused]] const bool installed_at_start = [] {
    torch::autograd::set_default_engine_stub(&engine);
    return true;
}();

}  // namespace

extern "C" {

// From now on, on this thread, what is saved for a backward pass belongs to a part that `again` computes. The
// context is dropped when nobody can ask for the part any more; where this fails, at once.
char* brew_recompute_begin(int device, Again again, Drop drop, void* context) {
    return guarded([&] {
        TORCH_CHECK(again != nullptr && drop != nullptr, "a part that nobody can run");
        std::unique_ptr<void, Drop> owned(context, drop);
        TORCH_CHECK(forward_of == nullptr && again_of == nullptr,
                    "a part whose activations are computed again lies inside another");
        TORCH_CHECK(device < 0 || at::hasCUDA(), "there is no CUDA device ", device);
        auto part = std::make_shared<Part>(again, drop, context, device);
        owned.release();
        forward_of = std::move(part);
    });
}

char* brew_recompute_end() {
    return guarded([] { forward_of.reset(); });
}

}  // extern "C"
