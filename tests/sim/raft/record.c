/* SPDX-License-Identifier: Apache-2.0
 *
 * record.c -- finds a record by its index, which the oracle and the promises ask for at every step.
 *
 * Nearly all of them ask for one of the last: so the search goes backwards from the end in steps
 * that double, and halves the last step.
 *
 * Locality: any; reads only.
 */
#include "cluster.h"

size_t cluster_record_find(const struct cluster_record *records, size_t count, uint64_t index)
{
    size_t low = count;
    size_t high = count;
    size_t step = 1;
    while (low > 0 && records[low - 1].entry.last_index >= index) {
        high = low - 1;
        low = low > step ? low - step : 0;
        step *= 2;
    }
    /* What is before low ends before index; what is from high on does not. */
    while (low < high) {
        size_t middle = low + (high - low) / 2;
        if (records[middle].entry.last_index < index)
            low = middle + 1;
        else
            high = middle;
    }
    return high;
}
