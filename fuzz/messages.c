/*
 * Every fixed message, decoded and encoded again: what decodes must encode to the same bytes.
 */
#include <stdlib.h>
#include <string.h>

#include "fuzz.h"
#include "wire/msg.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static uint64_t storage[128];
    for (size_t i = 0; nc_msg_all[i]; i++) {
        const nc_msg_desc *d = nc_msg_all[i];
        nc_rd r = nc_rd_init(nc_span(data, size));
        if (d->size > sizeof(storage) || nc_msg_decode(d, &r, storage) != NACRE_OK) {
            continue;
        }
        nc_buf b;
        nc_buf_init(&b, NULL, size + 16);
        nc_wr w = nc_wr_init(&b);
        nc_msg_encode(d, &w, storage);
        size_t head = d->number >= 0 ? 1 : 0;
        bool has_bool = false;
        for (size_t k = 0; k < d->count; k++) {
            has_bool = has_bool || d->fields[k].kind == NC_KIND_bool;
        }
        bool same = b.len == size + head && (size == 0 || memcmp(b.data + head, data, size) == 0);
        /* A boolean may be any byte but zero, so it need not come back as it was. */
        if (nc_wr_err(&w) != NACRE_OK || (!has_bool && !same)) {
            abort();
        }
        nc_buf_clear(&b);
    }
    return 0;
}
