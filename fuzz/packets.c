/*
 * The packet layer in each mode: the first byte chooses the cipher, the rest is what the wire brings, in
 * cuts that the input chooses. With a cipher nothing forged may come out.
 */
#include <stdlib.h>
#include <string.h>

#include "fuzz.h"
#include "transport/packetizer.h"

static nc_pktcipher *cipher_for(uint8_t choice)
{
    static const uint8_t zeros[64] = {0};
    size_t ciphers = 0;
    size_t macs = 0;
    while (nc_cipher_algs[ciphers]) {
        ciphers++;
    }
    while (nc_mac_algs[macs]) {
        macs++;
    }
    nc_pktcipher *c = NULL;
    size_t which = choice % (ciphers + 1);
    const nc_cipher_alg *alg = which ? nc_cipher_algs[which - 1] : NULL;
    const nc_mac_alg *mac = alg && !alg->tag_len ? nc_mac_algs[choice / 16 % macs] : NULL;
    if (nc_pktcipher_new(&c, NULL, alg, mac, zeros, zeros, zeros, false) != NACRE_OK) {
        abort();
    }
    return c;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    nacre_span in = {data, size};
    uint64_t seed = 1;
    const nc_random random = {fuzz_random, &seed};
    const nc_packetizer_limits limits = {NC_MAX_PACKET, 256 * 1024, 4 * 1024 * 1024};
    nc_packetizer *p = NULL;
    nc_packet packet;
    nacre_error err;
    uint8_t choice = fuzz_byte(&in);
    uint8_t flags = fuzz_byte(&in);

    if (nc_packetizer_new(&p, NULL, &random, &limits) != NACRE_OK) {
        return 0;
    }
    nc_packetizer_set_input_keys(p, cipher_for(choice), true);
    if (flags & 1) {
        (void)!nc_packetizer_set_input_compression(p, true);
    }
    int rc = NACRE_AGAIN;
    while (in.n && rc == NACRE_AGAIN) {
        size_t room = 0;
        uint8_t *to = nc_packetizer_recv_buffer(p, &room);
        nacre_span piece = fuzz_take(&in, flags & 2 ? 1 : room);
        if (!to || !piece.n) {
            break;
        }
        memcpy(to, piece.p, piece.n);
        if (nc_packetizer_received(p, piece.n) != NACRE_OK) {
            break;
        }
        nc_error_clear(&err);
        while ((rc = nc_packetizer_next(p, &packet, &err)) == NACRE_OK) {
            if (packet.payload.n == 0 || packet.payload.n > NC_MAX_PACKET) {
                abort();
            }
        }
    }
    nc_packetizer_free(p);
    return 0;
}
