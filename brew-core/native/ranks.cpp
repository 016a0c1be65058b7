// Several ranks: libtorch's store over TCP, and groups of processes that exchange tensors through gloo.
//
// A call starts by flattening its tensors into one buffer per dtype, and ends by writing them back, so a list of any
// shapes is one message. The size of a list must be equal on all ranks: gloo ends the process otherwise, from a
// thread of its own. The caller compares sizes first.

#include "guard.h"

#include <ATen/ops/cat.h>
#include <ATen/ops/empty_like.h>
#include <c10/core/GradMode.h>
#include <c10/util/Logging.h>
#include <torch/csrc/distributed/c10d/PrefixStore.hpp>
#include <torch/csrc/distributed/c10d/ProcessGroupGloo.hpp>
#include <torch/csrc/distributed/c10d/TCPStore.hpp>
#include <torch/headeronly/version.h>

#include <cstdlib>

// These objects are made here and used by the library, so both must agree about their layout.
static_assert(TORCH_VERSION_MAJOR == 2 && TORCH_VERSION_MINOR == 11, "ranks.cpp is written for libtorch 2.11");
#if defined(__linux__) && defined(__x86_64__) && defined(__GLIBCXX__)
static_assert(sizeof(c10d::ProcessGroupGloo) == 488, "the layout of ProcessGroupGloo is not that of libtorch 2.11");
static_assert(sizeof(c10d::ProcessGroupGloo::Options) == 176, "the layout of its options is not that of libtorch 2.11");
static_assert(sizeof(c10d::TCPStore) == 216, "the layout of TCPStore is not that of libtorch 2.11");
static_assert(sizeof(c10d::PrefixStore) == 64, "the layout of PrefixStore is not that of libtorch 2.11");
#endif

using brew::guarded;
using brew::list;
using std::chrono::milliseconds;

namespace {

struct Store {
    c10::intrusive_ptr<c10d::Store> store;
};

struct Group {
    c10::intrusive_ptr<c10d::Backend> backend;
};

// The tensors of one dtype, and their message.
struct Bucket {
    std::vector<size_t> places;
    at::Tensor flat;
    // Of each rank; empty unless the call gathers.
    std::vector<at::Tensor> gathered;
    c10::intrusive_ptr<c10d::Work> work;
};

struct Started {
    std::vector<at::Tensor> tensors;
    std::vector<Bucket> buckets;
    // Keeps the connections until the call has ended.
    c10::intrusive_ptr<c10d::Backend> backend;
    bool gathers = false;
};

enum Kind : int { kSum = 0, kBroadcast = 1, kGather = 2 };

std::vector<Bucket> buckets_of(const std::vector<at::Tensor>& tensors) {
    std::vector<Bucket> buckets;
    std::vector<std::vector<at::Tensor>> parts;
    for (size_t place = 0; place < tensors.size(); ++place) {
        const auto& tensor = tensors[place];
        TORCH_CHECK(tensor.layout() == at::kStrided && tensor.device().is_cpu(), "tensor ", place, " is ",
                    tensor.layout(), " on ", tensor.device(), ": ranks exchange dense tensors on the CPU");
        size_t index = 0;
        while (index < buckets.size() && parts[index].front().scalar_type() != tensor.scalar_type()) {
            ++index;
        }
        if (index == buckets.size()) {
            buckets.emplace_back();
            parts.emplace_back();
        }
        buckets[index].places.push_back(place);
        parts[index].push_back(tensor.reshape({-1}));
    }
    for (size_t index = 0; index < buckets.size(); ++index) {
        // Always a copy: gloo's threads write to it while the caller may still read the tensors.
        buckets[index].flat = parts[index].size() == 1 ? parts[index].front().clone() : at::cat(parts[index]);
    }
    return buckets;
}

void start(Bucket& bucket, c10d::Backend& backend, int kind, int root, milliseconds timeout) {
    std::vector<at::Tensor> one{bucket.flat};
    if (kind == kSum) {
        c10d::AllreduceOptions options;
        options.timeout = timeout;
        bucket.work = backend.allreduce(one, options);
    } else if (kind == kBroadcast) {
        c10d::BroadcastOptions options;
        options.rootRank = root;
        options.timeout = timeout;
        bucket.work = backend.broadcast(one, options);
    } else {
        for (int rank = 0; rank < backend.getSize(); ++rank) {
            bucket.gathered.push_back(at::empty_like(bucket.flat));
        }
        c10d::AllgatherOptions options;
        options.timeout = timeout;
        std::vector<std::vector<at::Tensor>> outputs{bucket.gathered};
        bucket.work = backend.allgather(outputs, one, options);
    }
}

// libtorch prints warnings and C++ stacks beside the exceptions that say the same. It reads TORCH_CPP_LOG_LEVEL only
// here.
void quiet() {
    static const bool done = [] {
        c10::initLogging();
        if (std::getenv("TORCH_CPP_LOG_LEVEL") == nullptr) {
            FLAGS_caffe2_log_level = 3;
        }
        return true;
    }();
    (void)done;
}

std::string text(const char* bytes, const char* name) {
    TORCH_CHECK(bytes != nullptr, "`", name, "` is a null pointer");
    return bytes;
}

}  // namespace

extern "C" {

// `descriptor` is a listening socket that the server takes over, or negative.
char* brew_store_open(const char* host, uint16_t port, int server, int descriptor, int64_t timeout, Store** opened) {
    return guarded([&] {
        TORCH_CHECK(opened != nullptr, "the store has nowhere to go");
        quiet();
        c10d::TCPStoreOptions options;
        options.port = port;
        options.isServer = server != 0;
        options.waitWorkers = false;
        options.timeout = milliseconds(timeout);
        if (server != 0 && descriptor >= 0) {
            options.masterListenFd = descriptor;
        }
        *opened = new Store{c10::make_intrusive<c10d::TCPStore>(text(host, "host"), options)};
    });
}

void brew_store_close(Store* store) {
    free(guarded([&] { delete store; }));
}

char* brew_store_set(Store* store, const char* key, const uint8_t* bytes, size_t count) {
    return guarded([&] {
        TORCH_CHECK(store != nullptr && (bytes != nullptr || count == 0), "a null pointer");
        store->store->set(text(key, "key"), std::vector<uint8_t>(bytes, bytes + count));
    });
}

// `found` is null if the key has no value yet; its caller frees it with `brew_free`.
char* brew_store_get(Store* store, const char* key, uint8_t** found, size_t* count) {
    return guarded([&] {
        TORCH_CHECK(store != nullptr && found != nullptr && count != nullptr, "a null pointer");
        *found = nullptr;
        *count = 0;
        const auto name = text(key, "key");
        if (!store->store->check({name})) {
            return;
        }
        const auto value = store->store->get(name);
        auto* bytes = static_cast<uint8_t*>(malloc(value.size() + 1));
        TORCH_CHECK(bytes != nullptr, "no memory for ", value.size(), " bytes");
        std::memcpy(bytes, value.data(), value.size());
        *found = bytes;
        *count = value.size();
    });
}

// The counter's value after adding to it; it starts at 0.
char* brew_store_add(Store* store, const char* key, int64_t amount, int64_t* sum) {
    return guarded([&] {
        TORCH_CHECK(store != nullptr && sum != nullptr, "a null pointer");
        *sum = store->store->add(text(key, "key"), amount);
    });
}

// `address` is this machine's, as the other ranks reach it. GLOO_SOCKET_IFNAME overrides it.
char* brew_group_join(Store* store, const char* prefix, const char* address, int rank, int size, int64_t timeout,
                      Group** joined) {
    return guarded([&] {
        TORCH_CHECK(store != nullptr && joined != nullptr, "a null pointer");
        using Gloo = c10d::ProcessGroupGloo;
        auto options = Gloo::Options::create(milliseconds(timeout));
        options->devices.push_back(std::getenv("GLOO_SOCKET_IFNAME") != nullptr
                                       ? Gloo::createDefaultDevice()
                                       : Gloo::createDeviceForHostname(text(address, "address")));
        auto prefixed = c10::make_intrusive<c10d::PrefixStore>(text(prefix, "prefix"), store->store);
        *joined = new Group{c10::make_intrusive<Gloo>(prefixed, rank, size, options)};
    });
}

// Closes the connections, so that ranks that wait for this one get an error at once.
void brew_group_leave(Group* group) {
    free(guarded([&] { delete group; }));
}

// Starts a sum over all ranks (kind 0), a broadcast from `root` (1) or a gathering on all (2).
char* brew_group_start(Group* group, int kind, int root, const Raw* tensors, size_t count, int64_t timeout,
                       Started** started) {
    return guarded([&] {
        TORCH_CHECK(group != nullptr && started != nullptr, "a null pointer");
        TORCH_CHECK(kind >= kSum && kind <= kGather, "there is no call ", kind);
        c10::NoGradGuard no_grad;
        auto call = std::make_unique<Started>();
        call->backend = group->backend;
        call->gathers = kind == kGather;
        call->tensors = list(tensors, count, "tensors");
        call->buckets = buckets_of(call->tensors);
        for (auto& bucket : call->buckets) {
            if (bucket.flat.numel() > 0) {
                start(bucket, *group->backend, kind, root, milliseconds(timeout));
            } else if (call->gathers) {
                bucket.gathered.assign(group->backend->getSize(), bucket.flat);
            }
        }
        *started = call.release();
    });
}

// Waits for a call and writes its result: into the tensors themselves, or, if it gathers, `outputs` gets new ones, all
// of rank 0 first.
char* brew_group_wait(Started* started, Raw* outputs, size_t count) {
    return guarded([&] {
        TORCH_CHECK(started != nullptr, "a null pointer");
        c10::NoGradGuard no_grad;
        const auto& tensors = started->tensors;
        const size_t wanted = started->gathers ? tensors.size() * started->backend->getSize() : 0;
        TORCH_CHECK(count == wanted && (outputs != nullptr || count == 0), "the results have nowhere to go");
        for (auto& bucket : started->buckets) {
            if (bucket.work) {
                bucket.work->wait();
            }
        }
        std::vector<at::Tensor> results(count);
        for (auto& bucket : started->buckets) {
            int64_t begin = 0;
            for (const auto place : bucket.places) {
                const auto& tensor = tensors[place];
                if (!started->gathers) {
                    tensor.copy_(bucket.flat.narrow(0, begin, tensor.numel()).view(tensor.sizes()));
                }
                for (size_t rank = 0; rank < bucket.gathered.size(); ++rank) {
                    const auto part = bucket.gathered[rank].narrow(0, begin, tensor.numel());
                    results[rank * tensors.size() + place] = part.view(tensor.sizes()).clone();
                }
                begin += tensor.numel();
            }
        }
        for (size_t index = 0; index < count; ++index) {
            outputs[index] = new at::Tensor(results[index]);
        }
    });
}

void brew_group_forget(Started* started) {
    free(guarded([&] { delete started; }));
}

}  // extern "C"
