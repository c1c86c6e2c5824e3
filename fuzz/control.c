/*
 * The messages of connection sharing, as either side may send them; what was read is written again, and must be the
 * same message.
 */
#include <stdlib.h>
#include <string.h>

#include "channel/control.h"
#include "fuzz.h"

static void look(nacre_span body, bool from_master)
{
    nc_ctl_msg m, again;
    nc_buf b;
    if (nc_ctl_read(body, from_master, &m, NULL) != NACRE_OK) {
        return;
    }
    if (m.type == NC_CTL_C_NEW_SESSION) {
        nacre_span env = m.u.session.env, one;
        while (env.n > 0) {
            if (!nc_ctl_next_env(&env, &one) || (one.n && memchr(one.p, '\0', one.n))) {
                abort();
            }
        }
    }
    nc_buf_init(&b, NULL, 2 * NC_CTL_MAX_PACKET);
    if (nc_ctl_write(&b, &m) == NACRE_OK &&
        (nc_ctl_read(nc_span(b.data + 4, b.len - 4), from_master, &again, NULL) != NACRE_OK ||
         again.type != m.type || again.id != m.id)) {
        abort();
    }
    nc_buf_clear(&b);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    look(nc_span(data, size), false);
    look(nc_span(data, size), true);
    return 0;
}
