/*
 * X11: names of displays, x11-req, and the first message of a connection, in pieces. What is taken must keep
 * its promises.
 */
#include "channel/x11.h"
#include "fuzz.h"
#include "nacre/x11.h"

#include <stdlib.h>
#include <string.h>

static void display(nacre_span in)
{
    char text[512];
    nacre_x11_display d;
    size_t n = in.n < sizeof(text) ? in.n : sizeof(text) - 1;
    memcpy(text, n ? in.p : (const uint8_t *)"", n);
    text[n] = '\0';
    if (nacre_x11_display_parse(text, &d, NULL) == NACRE_OK && strpbrk(text, " \n;$`'\"\\")) {
        abort(); /* it is handed to xauth */
    }
}

static void request(nacre_span in)
{
    nacre_x11_request r;
    if (nacre_x11_request_parse(in, &r) == NACRE_OK &&
        (!nc_x11_is_protocol(nc_span_cstr(r.protocol)) || strlen(r.cookie) % 2 ||
         strspn(r.cookie, "0123456789abcdefABCDEF") != strlen(r.cookie))) {
        abort();
    }
}

static void setup(nacre_span in)
{
    nc_x11_setup s;
    uint8_t out[NC_X11_SETUP_MAX], no[NC_X11_REFUSAL_MAX];
    size_t took, total = 0;
    memset(&s, 0, sizeof(s));
    for (int rc = NACRE_AGAIN; rc == NACRE_AGAIN && in.n > 0;) {
        nacre_span piece = fuzz_take(&in, 1 + fuzz_byte(&in) % 64);
        rc = nc_x11_setup_add(&s, piece, &took);
        total += took;
        if (took > piece.n || s.have > sizeof(s.bytes) || total != s.have ||
            nc_x11_refusal(&s, "no", no) > sizeof(no)) {
            abort();
        }
        if (rc == NACRE_OK) {
            nacre_span name, data;
            nc_x11_setup_read(&s, &name, &data);
            if (nc_x11_setup_write(&s, name, data, out) != s.have) {
                abort();
            }
        }
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t size)
{
    nacre_span in = {bytes, size};
    switch (fuzz_byte(&in) % 3) {
    case 0:
        display(in);
        break;
    case 1:
        request(in);
        break;
    default:
        setup(in);
        break;
    }
    return 0;
}
