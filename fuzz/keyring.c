/*
 * What clients say to our agent: two connections to one keyring, pieces of input in turn, time that passes
 * and people who answer in between.
 */
#include <stdlib.h>

#include "crypto/crypto.h"
#include "mutator.h"
#include "nacre/agent.h"

const fuzz_shape fuzz_input_shape = {FUZZ_MESSAGES, 2};

/* A lock costs whoever guesses a lot, by intention; here different passphrases need only differ. */
int __wrap_nc_bcrypt_pbkdf(nacre_span passphrase, nacre_span salt, uint32_t rounds, uint8_t *key,
                           size_t key_len);
int __wrap_nc_bcrypt_pbkdf(nacre_span passphrase, nacre_span salt, uint32_t rounds, uint8_t *key,
                           size_t key_len)
{
    uint32_t sum = rounds;
    for (size_t i = 0; i < passphrase.n + salt.n; i++) {
        sum = sum * 31 + (i < passphrase.n ? passphrase.p[i] : salt.p[i - passphrase.n]);
    }
    for (size_t i = 0; i < key_len; i++) {
        key[i] = (uint8_t)(sum >> i % 25);
    }
    return NACRE_OK;
}

typedef struct owner {
    nacre_keyring *ring;
    uint32_t ticket;
    unsigned mood;
} owner;

static void on_confirm(void *user, const nacre_keyring_question *q)
{
    owner *o = user;
    o->ticket = q->ticket;
    if (o->mood % 3 < 2) {
        (void)nacre_keyring_answer(q->keyring, q->ticket, o->mood % 3 == 1);
    }
}

static void drain(nacre_keyring_conn *c)
{
    nacre_span out = nacre_keyring_output(c);
    if (out.n > 1024 * 1024) {
        abort();
    }
    nacre_keyring_sent(c, out.n);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    nacre_span in = {data, size};
    owner o = {NULL, 0, 0};
    uint64_t seed = 7, now = 1000;
    nacre_keyring_options options;
    nacre_keyring_conn *c[2] = {NULL, NULL};
    nacre_keyring_options_init(&options);
    options.confirm = on_confirm;
    options.user = &o;
    options.random = fuzz_random;
    options.random_user = &seed;
    options.max_keys = 4;
    o.mood = fuzz_byte(&in);
    if (nacre_keyring_new(&o.ring, &options, now, 1700000000) != NACRE_OK ||
        nacre_keyring_connect(&c[0], o.ring) != NACRE_OK ||
        nacre_keyring_connect(&c[1], o.ring) != NACRE_OK) {
        abort();
    }
    while (in.n > 0) {
        unsigned how = fuzz_byte(&in);
        size_t took;
        nacre_span part = fuzz_take(&in, how & 0x80 ? in.n : how * 8u);
        (void)!nacre_keyring_received(c[how & 1], part, &took);
        if (how & 2) {
            drain(c[how & 1]);
        }
        if (how & 4) {
            now += 50;
            nacre_keyring_advance(o.ring, now, 1700000000);
            (void)!nacre_keyring_received(c[1], (nacre_span){NULL, 0}, &took);
        }
        if (how & 8) {
            (void)nacre_keyring_answer(o.ring, o.ticket, how & 16);
        }
        (void)nacre_keyring_deadline(o.ring);
    }
    nacre_keyring_conn_free(c[0]);
    nacre_keyring_conn_free(c[1]);
    nacre_keyring_free(o.ring);
    return 0;
}
