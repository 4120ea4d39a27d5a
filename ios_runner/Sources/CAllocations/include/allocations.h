// Counts the allocations of this process. On Linux only, where a program's own malloc takes the place of the library's.
#ifndef PHONEBENCH_ALLOCATIONS_H
#define PHONEBENCH_ALLOCATIONS_H

#include <stdint.h>

uint64_t pb_allocations(void);

#endif
