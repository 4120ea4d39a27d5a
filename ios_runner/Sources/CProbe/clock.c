#define _GNU_SOURCE
#include "probe.h"

#include <errno.h>
#include <time.h>

int64_t pb_nanos(void) {
#if defined(__APPLE__)
    // It does not count while the device sleeps, and is not adjusted.
    return (int64_t)clock_gettime_nsec_np(CLOCK_UPTIME_RAW);
#else
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return (int64_t)now.tv_sec * 1000000000 + now.tv_nsec;
#endif
}

int64_t pb_wall_nanos(void) {
    struct timespec now;
    clock_gettime(CLOCK_REALTIME, &now);
    return (int64_t)now.tv_sec * 1000000000 + now.tv_nsec;
}

void pb_sleep(int64_t nanos) {
    if (nanos <= 0) return;
    struct timespec rest = {.tv_sec = nanos / 1000000000, .tv_nsec = nanos % 1000000000};
    while (nanosleep(&rest, &rest) != 0 && errno == EINTR) {}
}
