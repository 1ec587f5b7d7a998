// A stand-in for NVRTC, for tests: "compiles" CUDA C++ with the C++ compiler of this machine to a library that the stand-in for the
// driver (driver.cpp) loads. What it returns as a CUBIN is the library's path.
#include <cctype>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <fstream>
#include <regex>
#include <sstream>
#include <string>
#include <unistd.h>

namespace {

// Generated: the shim that emulated kernels in the library's own tests have as well.
const char *const SHIM =
#include "shim.inc"
    ;

/// What the driver calls of a kernel: its arguments' values put aside, which of them are addresses, and a run.
const char *const ENTRIES = R"(
#include <tuple>
#include <type_traits>
static void *packed_values;
template <typename... T> static void *pack_values(void (*)(T...), void **from) {
    size_t i = 0;
    return new std::tuple<T...>{*(T *)from[i++]...};
}
template <typename T> static void note_address(T value, const void **to, size_t &count) {
    if constexpr (std::is_pointer_v<T>) to[count++] = value;
}
template <typename... T> static size_t addresses_of(void (*)(T...), void *packed, const void **to) {
    size_t count = 0;
    std::apply([&](T... values) { (note_address(values, to, count), ...); }, *(std::tuple<T...> *)packed);
    return count;
}
template <typename... T> static void call_packed() { std::apply((void (*)(T...))target, *(std::tuple<T...> *)packed_values); }
template <typename... T> static void run_packed(void (*kernel)(T...), void *packed, const unsigned *grid, const unsigned *block) {
    packed_values = packed;
    target = (void (*)())kernel;
    run(grid, block, call_packed<T...>);
}
template <typename... T> static void drop_packed(void (*)(T...), void *packed) { delete (std::tuple<T...> *)packed; }
)";

struct Program {
    std::string source, name, log, library;
};

/// The name of the kernel that is declared from here on: void, perhaps __launch_bounds__(…), and the name.
std::string name_of_kernel(const std::string &text, size_t at) {
    const auto word = [&] {
        while (at < text.size() && std::isspace((unsigned char)text[at])) at++;
        const size_t from = at;
        while (at < text.size() && (std::isalnum((unsigned char)text[at]) || text[at] == '_')) at++;
        return text.substr(from, at - from);
    };
    std::string found = word();
    if (found == "void") found = word();
    if (found == "__launch_bounds__") {
        int depth = 0;
        do {
            depth += text[at] == '(' ? 1 : text[at] == ')' ? -1 : 0;
        } while (++at < text.size() && depth > 0);
        found = word();
    }
    return found;
}

/// For every kernel in a source whose macros have been expanded.
std::string of_kernels(const std::string &source) {
    const std::string mark = "__global__";
    std::string text;
    for (size_t at = source.find(mark); at != std::string::npos; at = source.find(mark, at + 1)) {
        const std::string k = name_of_kernel(source, at + mark.size());
        text += "extern \"C\" void *pack_" + k + "(void **values_) { return pack_values(" + k + ", values_); }\n";
        text += "extern \"C\" size_t addresses_" + k + "(void *of_, const void **to_) { return addresses_of(" + k + ", of_, to_); }\n";
        text += "extern \"C\" void run_" + k + "(void *p_, const unsigned *g_, const unsigned *b_) { run_packed(" + k + ", p_, g_, b_); }\n";
        text += "extern \"C\" void drop_" + k + "(void *of_) { drop_packed(" + k + ", of_); }\n";
    }
    return text;
}

/// Dynamic shared memory has a fixed place in the shim; headers of halves are the shim's.
std::string for_a_processor(std::string source) {
    const std::regex dynamic(R"(extern\s+__shared__\s+(?:__align__\(\d+\)\s+)?([\w ]+?)\s+(\w+)\[\]\s*;)");
    std::smatch found;
    while (std::regex_search(source, found, dynamic)) {
        const std::string type = found[1], name = found[2];
        const std::string instead = name == "dynamic" ? "" : type + " *const " + name + " = (" + type + " *)dynamic;";
        source = found.prefix().str() + instead + found.suffix().str();
    }
    return std::regex_replace(source, std::regex(R"(#include <cuda_(fp16|bf16)\.h>)"), "");
}

std::string read(const std::string &path) {
    std::ifstream file(path);
    std::stringstream text;
    text << file.rdbuf();
    return text.str();
}

} // namespace

extern "C" {

int nvrtcVersion(int *major, int *minor) { return *major = 12, *minor = 0, 0; }

const char *nvrtcGetErrorString(int error) { return error == 0 ? "NVRTC_SUCCESS" : "NVRTC_ERROR_COMPILATION"; }

int nvrtcCreateProgram(Program **program, const char *source, const char *name, int, const char *const *, const char *const *) {
    *program = new Program{source, name ? name : "", "", ""};
    return 0;
}

int nvrtcDestroyProgram(Program **program) {
    delete *program;
    *program = nullptr;
    return 0;
}

int nvrtcCompileProgram(Program *program, int count, const char *const *options) {
    const char *scratch = std::getenv("TMPDIR");
    std::string at = std::string(scratch ? scratch : "/tmp") + "/standin-cuda-XXXXXX";
    if (!mkdtemp(at.data())) return 1;
    // Macros are the source's, not the shim's.
    std::string macros, no_macros;
    for (int i = 0; i < count; i++) {
        const std::string option = options[i], macro = "--define-macro=";
        if (option.rfind(macro, 0) != 0) continue;
        const size_t equals = option.find('=', macro.size());
        const std::string name = option.substr(macro.size(), equals - macro.size());
        macros += "#define " + name + " " + (equals == std::string::npos ? "1" : option.substr(equals + 1)) + "\n";
        no_macros += "#undef " + name + "\n";
    }
    const std::string source = macros + "#line 1 \"" + program->name + "\"\n" + for_a_processor(program->source) + "\n";
    std::ofstream(at + "/source.cpp") << source;
    const std::string expand = "c++ -E -P -w -o " + at + "/expanded " + at + "/source.cpp 2> " + at + "/log";
    int status = std::system(expand.c_str());
    std::ofstream(at + "/k.cpp") << SHIM << ENTRIES << source << no_macros << of_kernels(read(at + "/expanded"));
    // Symbolic: a kernel's name may be one of the C library's.
    const std::string command =
        "c++ -std=c++17 -O1 -shared -fPIC -w -Wl,-Bsymbolic -o " + at + "/k.so " + at + "/k.cpp 2> " + at + "/log";
    if (status == 0) status = std::system(command.c_str());
    // As NVRTC writes it: k.cu(2): error: …
    program->log = std::regex_replace(read(at + "/log"), std::regex(R"(:(\d+):\d+: error:)"), "($1): error:");
    if (status != 0) return 6;
    program->library = at + "/k.so";
    return 0;
}

int nvrtcGetProgramLogSize(Program *program, size_t *size) { return *size = program->log.size() + 1, 0; }

int nvrtcGetProgramLog(Program *program, char *to) { return std::strcpy(to, program->log.c_str()), 0; }

int nvrtcGetCUBINSize(Program *program, size_t *size) { return *size = program->library.size() + 1, 0; }

int nvrtcGetCUBIN(Program *program, char *to) { return std::strcpy(to, program->library.c_str()), 0; }
}
