#if defined(__linux__)
#define _GNU_SOURCE
#include "probe.h"

#include <errno.h>
#include <fcntl.h>
#include <malloc.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

static int64_t resident_at_reset = -1;

// Reads a file of /proc into `text` without allocating. The length, or -1.
static ssize_t read_text(const char *path, char *text, size_t size) {
    int file = open(path, O_RDONLY | O_CLOEXEC);
    if (file < 0) return -1;
    size_t length = 0;
    ssize_t count;
    while (length < size - 1 && (count = read(file, text + length, size - 1 - length)) > 0) length += (size_t)count;
    close(file);
    text[length] = 0;
    return (ssize_t)length;
}

// The value of a line `Key:   123 kB` in bytes; -1 if there is none.
static int64_t field(const char *text, const char *key) {
    size_t length = strlen(key);
    for (const char *line = text; line; line = strchr(line, '\n')) {
        if (*line == '\n') line++;
        if (strncmp(line, key, length) == 0 && line[length] == ':') return strtoll(line + length + 1, NULL, 10) * 1024;
    }
    return -1;
}

int pb_memory_read(pb_memory *memory) {
    char text[8192];
    if (read_text("/proc/self/status", text, sizeof text) < 0) return errno;
    memory->anonymous = field(text, "RssAnon");
    memory->file = field(text, "RssFile");
    memory->shared = field(text, "RssShmem");
    memory->swap = field(text, "VmSwap");
    if (memory->anonymous < 0) return ENOTSUP;
    memory->owned = memory->anonymous + (memory->swap > 0 ? memory->swap : 0);
    return 0;
}

int64_t pb_proportional_bytes(void) {
    char text[8192];
    return read_text("/proc/self/smaps_rollup", text, sizeof text) < 0 ? -1 : field(text, "Pss");
}

int pb_peak_begin(void) {
    // Writing 5 resets VmHWM, the peak of resident memory (man 5 proc).
    int file = open("/proc/self/clear_refs", O_WRONLY | O_CLOEXEC);
    int reset = file >= 0 && write(file, "5", 1) == 1;
    if (file >= 0) close(file);
    char text[8192];
    resident_at_reset = -1;
    if (reset && read_text("/proc/self/status", text, sizeof text) >= 0) resident_at_reset = field(text, "VmRSS");
    return resident_at_reset >= 0;
}

int64_t pb_peak_bytes(int64_t baseline) {
    char text[8192];
    if (resident_at_reset < 0 || read_text("/proc/self/status", text, sizeof text) < 0) return -1;
    int64_t growth = field(text, "VmHWM") - resident_at_reset;
    return baseline + (growth > 0 ? growth : 0);
}

void pb_give_back(void) { malloc_trim(0); }

int64_t pb_available_bytes(void) {
    char text[8192];
    return read_text("/proc/meminfo", text, sizeof text) < 0 ? -1 : field(text, "MemAvailable");
}
#endif
