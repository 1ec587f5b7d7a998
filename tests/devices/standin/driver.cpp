// A stand-in for NVIDIA's driver, for tests: everything that src/device/cuda calls, on a processor. It keeps to what makes the real
// one hard to use: streams are queues with a thread each, copies from and to pinned memory happen later, captured work is only
// noted, every thread needs its context. What breaks the rules (an address that is not allocated, a copy beyond its end, memory
// that is freed twice or while work is queued that uses it) ends the process with a message.
//
// Environment: STANDIN_MEMORY bytes the device has (default 1 GiB); STANDIN_ILLEGAL threads of a group along x with which a kernel reads an
// illegal address; STANDIN_COUNTS a file in which processes count together what they
// ask for, in the order of `Counts`.
#include <atomic>
#include <chrono>
#include <condition_variable>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <deque>
#include <dlfcn.h>
#include <fcntl.h>
#include <functional>
#include <link.h>
#include <map>
#include <memory>
#include <mutex>
#include <string>
#include <sys/mman.h>
#include <thread>
#include <unistd.h>
#include <vector>

typedef int Result;
typedef unsigned long long Address;
enum : Result {
    SUCCESS = 0,
    INVALID_VALUE = 1,
    OUT_OF_MEMORY = 2,
    INVALID_DEVICE = 101,
    INVALID_IMAGE = 200,
    INVALID_CONTEXT = 201,
    INVALID_HANDLE = 400,
    NOT_FOUND = 500,
    NOT_READY = 600,
    ILLEGAL_ADDRESS = 700,
    CAPTURE_UNSUPPORTED = 900,
    CAPTURE_INVALIDATED = 901,
};

namespace {

typedef std::chrono::steady_clock::time_point Moment;

[[noreturn]] void broken(const std::string &what) {
    std::fprintf(stderr, "stand-in for CUDA: %s\n", what.c_str());
    std::abort();
}

const char *variable(const char *name, const char *otherwise) {
    const char *value = std::getenv(name);
    return value ? value : otherwise;
}

/// Launches of graphs and of kernels outside of them, kernels that ran, copies from and to pinned memory and other memory.
struct Counts {
    std::atomic<long> graphs, single, kernels, pinned_copies, pageable_copies;
};

/// In memory that is all zero at first: a file's, since workers are killed when they are no longer needed.
Counts *counts() {
    const char *path = std::getenv("STANDIN_COUNTS");
    const int file = path ? open(path, O_RDWR | O_CREAT, 0600) : -1;
    if (file >= 0 && ftruncate(file, sizeof(Counts)) != 0) broken("STANDIN_COUNTS cannot be written");
    const int flags = file >= 0 ? MAP_SHARED : MAP_PRIVATE | MAP_ANONYMOUS;
    void *memory = mmap(nullptr, sizeof(Counts), PROT_READ | PROT_WRITE, flags, file, 0);
    if (memory == MAP_FAILED) broken("no memory to count in");
    return (Counts *)memory;
}

/// Never destroyed: threads of streams may be running when the process ends.
struct World {
    std::mutex mutex;
    std::map<Address, size_t> allocations, host;
    size_t used = 0;
    /// A kernel's variables are its library's: one kernel at a time.
    std::mutex kernels;
    std::atomic<Result> lost{SUCCESS};
    Counts &counts = *::counts();
};

World &world() {
    static World *const all = new World;
    return *all;
}

/// Whether so many bytes from there are of one allocation.
bool is_within(const std::map<Address, size_t> &all, Address at, size_t size) {
    auto next = all.upper_bound(at);
    if (next == all.begin()) return false;
    const auto &[start, length] = *--next;
    return at - start <= length && size <= length - (at - start);
}

void check_device(Address at, size_t size, const char *what) {
    std::lock_guard<std::mutex> lock(world().mutex);
    if (!is_within(world().allocations, at, size)) broken(std::string(what) + ": not memory of the device, or beyond its end");
}

bool is_pinned(const void *at, size_t size) {
    std::lock_guard<std::mutex> lock(world().mutex);
    return is_within(world().host, (Address)at, size);
}

typedef std::function<void()> Work;

struct Graph {
    std::vector<Work> works;
};

struct Stream {
    std::mutex mutex;
    std::condition_variable changed;
    std::deque<Work> queue;
    bool is_busy = false, is_ending = false;
    /// What is noted instead of queued.
    std::unique_ptr<Graph> captured;
    std::thread thread;

    Stream() : thread([this] { work(); }) {}

    void work() {
        std::unique_lock<std::mutex> lock(mutex);
        for (;;) {
            changed.wait(lock, [this] { return is_ending || !queue.empty(); });
            if (queue.empty()) return;
            Work next = std::move(queue.front());
            queue.pop_front();
            is_busy = true;
            lock.unlock();
            // Whoever does not wait for what it queued should be seen.
            std::this_thread::sleep_for(std::chrono::microseconds(20));
            next();
            lock.lock();
            is_busy = false;
            changed.notify_all();
        }
    }

    void add(Work next) {
        std::lock_guard<std::mutex> lock(mutex);
        if (captured) captured->works.push_back(std::move(next));
        else queue.push_back(std::move(next));
        changed.notify_all();
    }

    void wait() {
        std::unique_lock<std::mutex> lock(mutex);
        changed.wait(lock, [this] { return queue.empty() && !is_busy; });
    }
};

struct Event {
    std::mutex mutex;
    std::condition_variable changed;
    /// Records that were asked for, and the last that has happened.
    unsigned long asked = 0, done = 0;
    bool has_time = false;
    Moment time;

    void happen(unsigned long number) {
        std::lock_guard<std::mutex> lock(mutex);
        time = std::chrono::steady_clock::now();
        has_time = true;
        if (number > done) done = number;
        changed.notify_all();
    }
};

struct Module {
    void *library;
};

struct Function {
    std::string name;
    void *(*pack)(void **);
    size_t (*addresses)(void *, const void **);
    void (*run)(void *, const unsigned *, const unsigned *);
    void (*drop)(void *);
};

thread_local bool has_context = false;
/// The stream that this thread is capturing.
thread_local Stream *capturing = nullptr;

#define CONTEXT                                                                                                                    \
    if (!has_context) return INVALID_CONTEXT;                                                                                      \
    if (world().lost != SUCCESS) return world().lost
/// For calls that a thread must not make while it captures.
#define NOT_CAPTURING                                                                                                              \
    CONTEXT;                                                                                                                       \
    if (capturing) return CAPTURE_UNSUPPORTED

Result allocate(Address *to, size_t size) {
    if (size == 0) return INVALID_VALUE;
    World &w = world();
    std::lock_guard<std::mutex> lock(w.mutex);
    static const size_t all = std::strtoull(variable("STANDIN_MEMORY", "1073741824"), nullptr, 10);
    if (size > all - w.used) return OUT_OF_MEMORY;
    void *memory = std::aligned_alloc(256, (size + 255) / 256 * 256);
    if (!memory) return OUT_OF_MEMORY;
    std::memset(memory, 0xCD, size);
    *to = (Address)memory;
    w.allocations[*to] = size;
    w.used += size;
    return SUCCESS;
}

void release(Address at) {
    World &w = world();
    std::lock_guard<std::mutex> lock(w.mutex);
    const auto found = w.allocations.find(at);
    if (found == w.allocations.end()) broken("freed what is not allocated");
    std::memset((void *)at, 0xDD, found->second);
    w.used -= found->second;
    w.allocations.erase(found);
    std::free((void *)at);
}

Result launch_work(Work *to, Function *f, const unsigned *grid, const unsigned *block, void **values) {
    const unsigned long threads = 1ul * block[0] * block[1] * block[2];
    if (threads == 0 || threads > 1024 || !grid[0] || !grid[1] || !grid[2] || grid[1] > 65535 || grid[2] > 65535) return INVALID_VALUE;
    std::shared_ptr<void> packed(f->pack(values), f->drop);
    const std::vector<unsigned> g(grid, grid + 3), b(block, block + 3);
    const bool is_illegal = block[0] == std::strtoul(variable("STANDIN_ILLEGAL", "0"), nullptr, 10);
    *to = [f, packed, g, b, is_illegal] {
        if (is_illegal) world().lost = ILLEGAL_ADDRESS;
        if (world().lost != SUCCESS) return;
        const void *addresses[64];
        const size_t count = f->addresses(packed.get(), addresses);
        for (size_t i = 0; i < count; i++) check_device((Address)addresses[i], 1, f->name.c_str());
        std::lock_guard<std::mutex> lock(world().kernels);
        f->run(packed.get(), g.data(), b.data());
        world().counts.kernels++;
    };
    return SUCCESS;
}

} // namespace

extern "C" {

Result cuInit(unsigned) { return SUCCESS; }

Result cuDriverGetVersion(int *version) { return *version = 12040, SUCCESS; }

Result cuGetErrorName(Result error, const char **name) {
    switch (error) {
    case OUT_OF_MEMORY: *name = "CUDA_ERROR_OUT_OF_MEMORY"; break;
    case ILLEGAL_ADDRESS: *name = "CUDA_ERROR_ILLEGAL_ADDRESS"; break;
    default: *name = "CUDA_ERROR";
    }
    return SUCCESS;
}

Result cuGetErrorString(Result error, const char **text) { return cuGetErrorName(error, text); }

Result cuDeviceGetCount(int *count) { return *count = 1, SUCCESS; }

Result cuDeviceGet(int *device, int ordinal) {
    if (ordinal != 0) return INVALID_DEVICE;
    return *device = 0, SUCCESS;
}

Result cuDeviceGetName(char *name, int room, int) { return std::snprintf(name, room, "stand-in for a GPU"), SUCCESS; }

Result cuDeviceTotalMem_v2(size_t *bytes, int) { return *bytes = std::strtoull(variable("STANDIN_MEMORY", "1073741824"), nullptr, 10), SUCCESS; }

Result cuDeviceGetAttribute(int *value, int attribute, int) {
    switch (attribute) {
    case 1: *value = 1024; break;     // MAX_THREADS_PER_BLOCK
    case 8: *value = 48 << 10; break; // MAX_SHARED_MEMORY_PER_BLOCK
    case 16: *value = 4; break;       // MULTIPROCESSOR_COUNT
    case 38: *value = 1 << 20; break; // L2_CACHE_SIZE
    case 39: *value = 2048; break;    // MAX_THREADS_PER_MULTIPROCESSOR
    case 75: *value = 9; break;       // COMPUTE_CAPABILITY_MAJOR
    case 76: *value = 0; break;
    case 97: *value = 227 << 10; break; // MAX_SHARED_MEMORY_PER_BLOCK_OPTIN
    case 115: *value = 1; break;        // MEMORY_POOLS_SUPPORTED
    default: *value = 0;
    }
    return SUCCESS;
}

Result cuDevicePrimaryCtxRetain(void **context, int) { return *context = &world(), SUCCESS; }

Result cuDevicePrimaryCtxRelease_v2(int) { return SUCCESS; }

Result cuCtxGetCurrent(void **context) { return *context = has_context ? &world() : nullptr, SUCCESS; }

Result cuCtxSetCurrent(void *context) { return has_context = context != nullptr, SUCCESS; }

Result cuCtxSynchronize() {
    NOT_CAPTURING;
    return SUCCESS;
}

// Memory

Result cuMemAlloc_v2(Address *to, size_t size) {
    NOT_CAPTURING;
    return allocate(to, size);
}

Result cuMemFree_v2(Address at) {
    CONTEXT;
    return release(at), SUCCESS;
}

Result cuMemAllocAsync(Address *to, size_t size, Stream *stream) {
    NOT_CAPTURING;
    if (stream->captured) return CAPTURE_UNSUPPORTED;
    return allocate(to, size);
}

Result cuMemFreeAsync(Address at, Stream *stream) {
    CONTEXT;
    if (stream->captured) return CAPTURE_UNSUPPORTED;
    stream->add([at] { release(at); });
    return SUCCESS;
}

Result cuDeviceGetDefaultMemPool(void **pool, int) { return *pool = &world(), SUCCESS; }

Result cuMemPoolSetAttribute(void *, int, void *) { return SUCCESS; }

Result cuMemPoolTrimTo(void *, size_t) { return SUCCESS; }

Result cuMemHostAlloc(void **to, size_t size, unsigned) {
    NOT_CAPTURING;
    *to = std::aligned_alloc(4096, (size + 4095) / 4096 * 4096);
    if (!*to) return OUT_OF_MEMORY;
    std::memset(*to, 0xCD, size);
    std::lock_guard<std::mutex> lock(world().mutex);
    world().host[(Address)*to] = size;
    return SUCCESS;
}

Result cuMemFreeHost(void *at) {
    CONTEXT;
    std::lock_guard<std::mutex> lock(world().mutex);
    if (world().host.erase((Address)at) != 1) broken("freed host memory that is not pinned");
    std::free(at);
    return SUCCESS;
}

Result cuMemcpyHtoDAsync_v2(Address to, const void *from, size_t size, Stream *stream) {
    CONTEXT;
    check_device(to, size, "upload");
    if (is_pinned(from, size)) {
        world().counts.pinned_copies++;
        // Read when it is its turn.
        stream->add([=] {
            check_device(to, size, "upload");
            if (!is_pinned(from, size)) broken("an upload's memory was freed before the copy");
            std::memcpy((void *)to, from, size);
        });
        return SUCCESS;
    }
    if (stream->captured) return CAPTURE_UNSUPPORTED;
    world().counts.pageable_copies++;
    const char *bytes = (const char *)from;
    auto staged = std::make_shared<std::vector<char>>(bytes, bytes + size);
    stream->add([=] {
        check_device(to, size, "upload");
        std::memcpy((void *)to, staged->data(), size);
    });
    return SUCCESS;
}

Result cuMemcpyDtoHAsync_v2(void *to, Address from, size_t size, Stream *stream) {
    CONTEXT;
    check_device(from, size, "download");
    const bool is_late = is_pinned(to, size);
    if (!is_late && stream->captured) return CAPTURE_UNSUPPORTED;
    (is_late ? world().counts.pinned_copies : world().counts.pageable_copies)++;
    stream->add([=] {
        check_device(from, size, "download");
        if (is_late && !is_pinned(to, size)) broken("a download's memory was freed before the copy");
        std::memcpy(to, (void *)from, size);
    });
    if (!is_late) stream->wait();
    return SUCCESS;
}

Result cuMemcpyDtoD_v2(Address to, Address from, size_t size) {
    NOT_CAPTURING;
    check_device(from, size, "copy");
    std::memcpy((void *)to, (void *)from, size);
    return SUCCESS;
}

Result cuMemsetD8Async(Address to, unsigned char value, size_t size, Stream *stream) {
    CONTEXT;
    stream->add([=] {
        check_device(to, size, "memset");
        std::memset((void *)to, value, size);
    });
    return SUCCESS;
}

// Streams and events

Result cuStreamCreate(Stream **stream, unsigned flags) {
    NOT_CAPTURING;
    if (flags != 1) broken("a stream that waits for the default one");
    return *stream = new Stream, SUCCESS;
}

Result cuStreamDestroy_v2(Stream *stream) {
    CONTEXT;
    stream->wait();
    {
        std::lock_guard<std::mutex> lock(stream->mutex);
        stream->is_ending = true;
        stream->changed.notify_all();
    }
    stream->thread.join();
    return delete stream, SUCCESS;
}

Result cuStreamSynchronize(Stream *stream) {
    CONTEXT;
    if (stream->captured) return CAPTURE_UNSUPPORTED;
    stream->wait();
    return world().lost;
}

Result cuStreamWaitEvent(Stream *stream, Event *event, unsigned) {
    CONTEXT;
    if (stream->captured) return CAPTURE_UNSUPPORTED;
    unsigned long number;
    {
        std::lock_guard<std::mutex> lock(event->mutex);
        number = event->asked;
    }
    stream->add([=] {
        std::unique_lock<std::mutex> lock(event->mutex);
        event->changed.wait(lock, [=] { return event->done >= number; });
    });
    return SUCCESS;
}

Result cuEventCreate(Event **event, unsigned) {
    NOT_CAPTURING;
    return *event = new Event, SUCCESS;
}

Result cuEventDestroy_v2(Event *event) {
    CONTEXT;
    return delete event, SUCCESS;
}

Result cuEventRecordWithFlags(Event *event, Stream *stream, unsigned flags) {
    CONTEXT;
    if (stream->captured) {
        // Only order, unless it is asked for as a node of the graph.
        if (flags == 1) stream->add([=] { event->happen(0); });
        return SUCCESS;
    }
    if (flags == 1) return INVALID_VALUE;
    unsigned long number;
    {
        std::lock_guard<std::mutex> lock(event->mutex);
        number = ++event->asked;
    }
    stream->add([=] { event->happen(number); });
    return SUCCESS;
}

Result cuEventRecord(Event *event, Stream *stream) { return cuEventRecordWithFlags(event, stream, 0); }

Result cuEventSynchronize(Event *event) {
    NOT_CAPTURING;
    std::unique_lock<std::mutex> lock(event->mutex);
    event->changed.wait(lock, [=] { return event->done >= event->asked; });
    return SUCCESS;
}

Result cuEventElapsedTime_v2(float *milliseconds, Event *start, Event *end) {
    CONTEXT;
    if (!start->has_time || !end->has_time) return INVALID_HANDLE;
    if (start->done < start->asked || end->done < end->asked) return NOT_READY;
    *milliseconds = std::chrono::duration<float, std::milli>(end->time - start->time).count();
    return SUCCESS;
}

Result cuEventElapsedTime(float *milliseconds, Event *start, Event *end) { return cuEventElapsedTime_v2(milliseconds, start, end); }

// Graphs

Result cuStreamBeginCapture_v2(Stream *stream, int mode) {
    CONTEXT;
    if (mode != 1) broken("captures in a mode that other threads break");
    if (capturing || stream->captured) return CAPTURE_UNSUPPORTED;
    stream->wait();
    stream->captured = std::make_unique<Graph>();
    capturing = stream;
    return SUCCESS;
}

Result cuStreamEndCapture(Stream *stream, Graph **graph) {
    CONTEXT;
    if (capturing != stream) return *graph = nullptr, INVALID_VALUE;
    capturing = nullptr;
    return *graph = stream->captured.release(), SUCCESS;
}

Result cuStreamGetCaptureInfo_v2(Stream *stream, int *status, void *, void *, void *, void *) { return *status = stream->captured != nullptr, SUCCESS; }

Result cuStreamIsCapturing(Stream *stream, int *status) { return *status = stream->captured != nullptr, SUCCESS; }

Result cuGraphInstantiateWithFlags(Graph **executable, Graph *graph, unsigned long long) {
    NOT_CAPTURING;
    return *executable = new Graph(*graph), SUCCESS;
}

Result cuGraphUpload(Graph *, Stream *) {
    NOT_CAPTURING;
    return SUCCESS;
}

Result cuGraphLaunch(Graph *graph, Stream *stream) {
    NOT_CAPTURING;
    if (stream->captured) return CAPTURE_UNSUPPORTED;
    world().counts.graphs++;
    for (const Work &work : graph->works) stream->add(work);
    return SUCCESS;
}

Result cuGraphExecDestroy(Graph *graph) { return delete graph, SUCCESS; }

Result cuGraphDestroy(Graph *graph) { return delete graph, SUCCESS; }

// Kernels

Result cuModuleLoadData(Module **module, const void *image) {
    NOT_CAPTURING;
    void *library = dlopen((const char *)image, RTLD_NOW | RTLD_LOCAL);
    if (!library) return INVALID_IMAGE;
    return *module = new Module{library}, SUCCESS;
}

Result cuModuleUnload(Module *module) {
    CONTEXT;
    dlclose(module->library);
    return delete module, SUCCESS;
}

Result cuModuleGetFunction(Function **function, Module *module, const char *name) {
    CONTEXT;
    const std::string k = name;
    const auto find = [&](const char *what) { return dlsym(module->library, (what + k).c_str()); };
    if (!find("pack_")) return NOT_FOUND;
    *function = new Function{k, (void *(*)(void **))find("pack_"), (size_t(*)(void *, const void **))find("addresses_"),
                             (void (*)(void *, const unsigned *, const unsigned *))find("run_"), (void (*)(void *))find("drop_")};
    return SUCCESS;
}

Result cuModuleGetGlobal_v2(Address *at, size_t *size, Module *module, const char *name) {
    CONTEXT;
    void *found = dlsym(module->library, name);
    if (!found) return NOT_FOUND;
    Dl_info about;
    ElfW(Sym) *symbol = nullptr;
    if (!dladdr1(found, &about, (void **)&symbol, RTLD_DL_SYMENT) || !symbol) return NOT_FOUND;
    *at = (Address)found;
    *size = symbol->st_size;
    return SUCCESS;
}

Result cuFuncGetAttribute(int *value, int attribute, Function *) {
    switch (attribute) {
    case 0: *value = 1024; break; // MAX_THREADS_PER_BLOCK
    case 4: *value = 32; break;   // NUM_REGS
    default: *value = 0;
    }
    return SUCCESS;
}

Result cuFuncSetAttribute(Function *, int attribute, int value) {
    CONTEXT;
    return attribute == 8 && value > 227 << 10 ? INVALID_VALUE : SUCCESS;
}

Result cuOccupancyMaxActiveBlocksPerMultiprocessorWithFlags(int *blocks, Function *, int threads, size_t, unsigned) {
    return *blocks = 2048 / (threads < 1 ? 1 : threads), SUCCESS;
}

Result cuOccupancyMaxActiveBlocksPerMultiprocessor(int *blocks, Function *f, int threads, size_t shared) {
    return cuOccupancyMaxActiveBlocksPerMultiprocessorWithFlags(blocks, f, threads, shared, 0);
}

Result cuLaunchKernel(Function *f, unsigned gx, unsigned gy, unsigned gz, unsigned bx, unsigned by, unsigned bz, unsigned shared, Stream *stream,
                      void **values, void **) {
    CONTEXT;
    const unsigned grid[] = {gx, gy, gz}, block[] = {bx, by, bz};
    if (shared > 227u << 10) return INVALID_VALUE;
    Work work;
    const Result made = launch_work(&work, f, grid, block, values);
    if (made != SUCCESS) return made;
    if (!stream->captured) world().counts.single++;
    stream->add(std::move(work));
    return SUCCESS;
}
}
