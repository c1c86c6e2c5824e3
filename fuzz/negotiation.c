/*
 * What is agreed on before anything is secret: the version line, the lists of KEXINIT, lists of algorithms as people
 * write them, and a moduli file. By the first byte.
 */
#include <stdlib.h>
#include <string.h>

#include "fuzz.h"
#include "transport/moduli.h"
#include "transport/negotiate.h"
#include "transport/version.h"

static void version(nacre_span in, nacre_role role)
{
    nc_line_kind kind;
    nacre_error err = {0};
    nc_error_clear(&err);
    if (nc_version_judge(role, in, &kind, &err) != NACRE_OK) {
        if (err.text[0] == 0) {
            abort(); /* refused without a word */
        }
        return;
    }
    nacre_span software = nc_version_software(in);
    if (kind == NC_LINE_VERSION && (software.p < in.p || software.p + software.n > in.p + in.n)) {
        abort();
    }
}

static void lists(nacre_span in, nacre_role role)
{
    nacre_config cfg;
    nc_proposal ours;
    nc_choice choice;
    nc_msg_kexinit peer;
    nacre_error err = {0};
    nc_rd r = nc_rd_init(in);
    if (NC_DECODE(kexinit, &r, &peer) != NACRE_OK) {
        return;
    }
    nacre_config_init(&cfg, role);
    if (nc_proposal_init(&ours, &cfg, &err) != NACRE_OK) {
        abort();
    }
    int rc = nc_negotiate(role, &ours, &peer, &choice, &err);
    bool whole = rc == NACRE_OK && choice.kex && choice.host_key;
    for (int i = 0; whole && i < 2; i++) {
        whole = choice.cipher[i] && (choice.cipher[i]->tag_len || choice.mac[i]);
    }
    if (rc == NACRE_OK && !whole) {
        abort(); /* agreed on less than a connection needs */
    }
    nc_proposal_clear(&ours);
}

static void resolve(nacre_span in, int kind)
{
    char spec[600], out[8192];
    size_t n = in.n < sizeof(spec) ? in.n : sizeof(spec) - 1;
    memcpy(spec, n ? in.p : (const uint8_t *)"", n);
    spec[n] = 0;
    nacre_error err = {0};
    int rc = nacre_algorithms_resolve((nacre_algorithm_kind)kind, spec, out, sizeof(out), &err);
    if (rc >= 0 && (size_t)rc != strlen(out)) {
        abort();
    }
}

static void moduli(nacre_span in, uint64_t seed)
{
    const nc_random random = {fuzz_random, &seed};
    nc_dh_group group;
    nc_buf storage;
    nc_buf_init(&storage, NULL, 1024 * 1024);
    int rc = nc_moduli_choose(in, 2048, 3072, 8192, &random, &storage, &group);
    if (rc == NACRE_OK && (group.p.n < 2048 / 8 || group.p.n > 8192 / 8 || group.g.n == 0)) {
        abort();
    }
    nc_buf_clear(&storage);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    nacre_span in = {data, size};
    uint8_t flags = fuzz_byte(&in);
    switch (flags % 4) {
    case 0:
        version(in, flags & 4 ? NACRE_SERVER : NACRE_CLIENT);
        break;
    case 1:
        lists(in, flags & 4 ? NACRE_SERVER : NACRE_CLIENT);
        break;
    case 2:
        resolve(in, flags / 4 % (NACRE_ALG_CA_SIGNATURE + 1));
        break;
    default:
        moduli(in, flags + 1u);
        break;
    }
    return 0;
}
