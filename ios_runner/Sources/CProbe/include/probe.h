// What Swift cannot do without allocating, or without Apple's headers: the clock, and the memory of this process.
#ifndef PHONEBENCH_PROBE_H
#define PHONEBENCH_PROBE_H

#include <stdint.h>

// Sizes in bytes; -1 where the system does not report one.
typedef struct {
    int64_t owned;      // Linux: RssAnon + VmSwap; Darwin: phys_footprint
    int64_t anonymous;  // Linux: RssAnon; Darwin: internal
    int64_t file;       // Linux: RssFile; Darwin: external
    int64_t shared;     // Linux: RssShmem
    int64_t swap;       // Linux: VmSwap; Darwin: compressed
} pb_memory;

// Nanoseconds of a monotonic clock.
int64_t pb_nanos(void);

// Nanoseconds since 1970, by the clock that shows the time of day.
int64_t pb_wall_nanos(void);

void pb_sleep(int64_t nanos);

// Reads the memory of this process; 0, or the error number.
int pb_memory_read(pb_memory *memory);

// The pages of this process, each divided by the number of processes that have it; -1 if not reported.
int64_t pb_proportional_bytes(void);

// Begins to watch the peak; 0 if the system has none to watch.
int pb_peak_begin(void);

// The peak since pb_peak_begin, when `baseline` bytes were owned; -1 if it is not known.
int64_t pb_peak_bytes(int64_t baseline);

// Gives the free pages of the heap back to the system where the C library can.
void pb_give_back(void);

// Bytes that this process may still take (iOS), or that the system has free (Linux); -1 if not reported.
int64_t pb_available_bytes(void);

#endif
