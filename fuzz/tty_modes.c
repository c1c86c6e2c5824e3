/*
 * Modes of a terminal as a client sends them (RFC 4254 8): any bytes; what was understood is written and read again.
 */
#include <stdlib.h>
#include <string.h>
#include <termios.h>

#include "fuzz.h"
#include "io/process.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    uint8_t out[1024], twice[1024];
    size_t n = sizeof(out), m = sizeof(twice);
    struct termios tio, back;
    memset(&tio, 0, sizeof(tio));
    memset(&back, 0, sizeof(back));
    (void)cfsetspeed(&tio, B9600); /* a line has a speed; 0 would hang it up */
    (void)!nc_tty_modes_decode(&tio, (nacre_span){data, size});
    if (nc_tty_modes_encode(&tio, out, &n) != NACRE_OK || n == 0 || n > sizeof(out) ||
        nc_tty_modes_decode(&back, (nacre_span){out, n}) != NACRE_OK ||
        nc_tty_modes_encode(&back, twice, &m) != NACRE_OK || m != n || memcmp(out, twice, n) != 0) {
        abort();
    }
    return 0;
}
