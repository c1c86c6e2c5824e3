/*
 * primitives.c - the ceiling: what packet ciphers and loopback TCP carry when nothing else is done.
 *
 * For each cipher: libcrypto alone over buffers of a packet's size (GCM and CTR), our packet cipher
 * sealing and opening in place, and the bare path: one process seals and writes, one reads and opens.
 * For the loopback: writes of several sizes. Our programs cannot be faster than the bare path, and
 * should not be far from it. Takes the best of several turns: a ceiling is not a median.
 */
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <openssl/evp.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "crypto/crypto.h"

enum {
    PACKET = 32 * 1024, /* payload of a bulk packet */
    IN_BATCH = 8,       /* packets that leave in one write */
    ROUNDS = 4096,      /* packets of one measurement: 128 MiB */
    TURNS = 5,
    ROOM = 64 /* length bytes, tag, MAC */
};

typedef struct pair {
    const char *name;
    const char *cipher;
    const char *mac;
    const EVP_CIPHER *(*raw)(void);
} pair;

static const pair pairs[] = {
    {"chacha20-poly1305", "chacha20-poly1305@openssh.com", NULL, EVP_chacha20},
    {"aes128-gcm", "aes128-gcm@openssh.com", NULL, EVP_aes_128_gcm},
    {"aes256-gcm", "aes256-gcm@openssh.com", NULL, EVP_aes_256_gcm},
    {"aes128-ctr + sha2-256-etm", "aes128-ctr", "hmac-sha2-256-etm@openssh.com", EVP_aes_128_ctr},
};

typedef struct bare_result {
    double mb_s;
    double send_cpu, receive_cpu; /* seconds per GiB */
} bare_result;

static double now(void)
{
    struct timespec t;

    clock_gettime(CLOCK_MONOTONIC, &t);
    return (double)t.tv_sec + (double)t.tv_nsec / 1e9;
}

static double cpu_of(int who)
{
    struct rusage u;

    getrusage(who, &u);
    return (double)(u.ru_utime.tv_sec + u.ru_stime.tv_sec) +
           (double)(u.ru_utime.tv_usec + u.ru_stime.tv_usec) / 1e6;
}

static void die(const char *what)
{
    fprintf(stderr, "primitives: %s failed\n", what);
    exit(1);
}

static double better(double best, double bytes, double seconds)
{
    double rate = bytes / seconds / 1e6;

    return rate > best ? rate : best;
}

/* MB/s of libcrypto's cipher alone, in place, with an IV per packet as SSH needs it. */
static double raw_rate(const EVP_CIPHER *cipher)
{
    static uint8_t data[PACKET];
    uint8_t key[64] = {1}, iv[16] = {2};
    EVP_CIPHER_CTX *ctx = EVP_CIPHER_CTX_new();
    double best = 0;
    int turn, i, n;

    if (ctx == NULL || EVP_EncryptInit_ex(ctx, cipher, NULL, key, iv) != 1) {
        die("EVP_EncryptInit_ex");
    }
    for (turn = 0; turn < TURNS; turn++) {
        double start = now();

        for (i = 0; i < ROUNDS; i++) {
            iv[0] = (uint8_t)i;
            if (EVP_EncryptInit_ex(ctx, NULL, NULL, NULL, iv) != 1 ||
                EVP_EncryptUpdate(ctx, data, &n, data, PACKET) != 1) {
                die("EVP_EncryptUpdate");
            }
        }
        best = better(best, (double)PACKET * ROUNDS, now() - start);
    }
    EVP_CIPHER_CTX_free(ctx);
    return best;
}

static nc_pktcipher *cipher_of(const pair *p, bool seal)
{
    static const uint8_t key[64] = {1}, iv[16] = {2}, mac_key[64] = {3};
    const nc_cipher_alg *alg = NULL;
    const nc_mac_alg *mac = NULL;
    nc_pktcipher *c = NULL;
    size_t i;

    for (i = 0; nc_cipher_algs[i] != NULL; i++) {
        if (strcmp(nc_cipher_algs[i]->name, p->cipher) == 0) {
            alg = nc_cipher_algs[i];
        }
    }
    for (i = 0; p->mac != NULL && nc_mac_algs[i] != NULL; i++) {
        if (strcmp(nc_mac_algs[i]->name, p->mac) == 0) {
            mac = nc_mac_algs[i];
        }
    }
    if (alg == NULL || (mac == NULL) != (p->mac == NULL) ||
        nc_pktcipher_new(&c, NULL, alg, mac, key, iv, mac_key, seal) != NACRE_OK) {
        die(p->cipher);
    }
    return c;
}

static void put_len(uint8_t *packet, uint32_t n)
{
    packet[0] = (uint8_t)(n >> 24);
    packet[1] = (uint8_t)(n >> 16);
    packet[2] = (uint8_t)(n >> 8);
    packet[3] = (uint8_t)n;
}

static void seal_one(nc_pktcipher *c, uint32_t seq, uint8_t *packet)
{
    put_len(packet, PACKET);
    if (nc_pktcipher_seal(c, seq, packet, PACKET) != NACRE_OK) {
        die("seal");
    }
}

static void open_one(nc_pktcipher *c, uint32_t seq, uint8_t *packet)
{
    uint32_t n;

    if (nc_pktcipher_peek_len(c, seq, packet, &n) != NACRE_OK || n != PACKET ||
        nc_pktcipher_open(c, seq, packet, n) != NACRE_OK) {
        die("open");
    }
}

static double seal_rate(const pair *p)
{
    static uint8_t packet[PACKET + ROOM];
    double best = 0;
    int turn;

    for (turn = 0; turn < TURNS; turn++) {
        nc_pktcipher *c = cipher_of(p, true);
        double start = now();
        uint32_t i;

        for (i = 0; i < ROUNDS; i++) {
            seal_one(c, i, packet);
        }
        best = better(best, (double)PACKET * ROUNDS, now() - start);
        nc_pktcipher_free(c);
    }
    return best;
}

static double open_rate(const pair *p)
{
    enum { KEPT = 64 };
    uint8_t *packets = malloc((size_t)KEPT * (PACKET + ROOM));
    nc_pktcipher *sealer = cipher_of(p, true);
    nc_pktcipher *opener = cipher_of(p, false);
    double spent = 0;
    uint32_t i, k;

    if (packets == NULL) {
        die("malloc");
    }
    for (i = 0; i < ROUNDS; i += KEPT) {
        double start;

        for (k = 0; k < KEPT; k++) {
            seal_one(sealer, i + k, packets + (size_t)k * (PACKET + ROOM));
        }
        start = now();
        for (k = 0; k < KEPT; k++) {
            open_one(opener, i + k, packets + (size_t)k * (PACKET + ROOM));
        }
        spent += now() - start;
    }
    nc_pktcipher_free(sealer);
    nc_pktcipher_free(opener);
    free(packets);
    return better(0, (double)PACKET * ROUNDS, spent);
}

/* ---- loopback ------------------------------------------------------------------------------------------ */

static void connected_pair(int fds[2])
{
    struct sockaddr_in a = {.sin_family = AF_INET};
    socklen_t n = sizeof a;
    int one = 1;
    int listener = socket(AF_INET, SOCK_STREAM, 0);

    a.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    if (listener < 0 || bind(listener, (struct sockaddr *)&a, sizeof a) != 0 ||
        listen(listener, 1) != 0 || getsockname(listener, (struct sockaddr *)&a, &n) != 0) {
        die("listen");
    }
    fds[0] = socket(AF_INET, SOCK_STREAM, 0);
    if (fds[0] < 0 || connect(fds[0], (struct sockaddr *)&a, sizeof a) != 0) {
        die("connect");
    }
    fds[1] = accept(listener, NULL, NULL);
    if (fds[1] < 0) {
        die("accept");
    }
    setsockopt(fds[0], IPPROTO_TCP, TCP_NODELAY, &one, sizeof one);
    close(listener);
}

static void write_all(int fd, const uint8_t *p, size_t n)
{
    while (n > 0) {
        ssize_t k = write(fd, p, n);

        if (k <= 0) {
            die("write");
        }
        p += k;
        n -= (size_t)k;
    }
}

/* The sending process of both tests: total bytes in writes of size, sealed when p is there. */
static void send_bulk(int fd, const pair *p, size_t size, size_t total)
{
    nc_pktcipher *c = p != NULL ? cipher_of(p, true) : NULL;
    size_t step = PACKET + 4 + (c != NULL ? nc_pktcipher_get_layout(c)->tag_len : 0);
    uint8_t *buffer = calloc(1, c != NULL ? step * IN_BATCH + ROOM : size);
    uint32_t seq = 0;
    size_t sent;

    if (buffer == NULL) {
        die("calloc");
    }
    for (sent = 0; sent < total; sent += c != NULL ? (size_t)PACKET * IN_BATCH : size) {
        size_t i;

        for (i = 0; c != NULL && i < IN_BATCH; i++) {
            seal_one(c, seq++, buffer + i * step);
        }
        write_all(fd, buffer, c != NULL ? step * IN_BATCH : size);
    }
    nc_pktcipher_free(c);
    free(buffer);
}

/* Reads to the end of input; opens what it reads when p is there. */
static void receive_bulk(int fd, const pair *p)
{
    nc_pktcipher *c = p != NULL ? cipher_of(p, false) : NULL;
    size_t step = PACKET + 4 + (c != NULL ? nc_pktcipher_get_layout(c)->tag_len : 0);
    size_t room = step * IN_BATCH;
    uint8_t *buffer = malloc(room);
    size_t have = 0;
    uint32_t seq = 0;
    ssize_t k;

    if (buffer == NULL) {
        die("malloc");
    }
    while ((k = read(fd, buffer + have, room - have)) > 0) {
        size_t at = 0;

        have += (size_t)k;
        for (; c != NULL && have - at >= step; at += step) {
            open_one(c, seq++, buffer + at);
        }
        if (c == NULL) {
            at = have;
        }
        memmove(buffer, buffer + at, have - at);
        have -= at;
    }
    nc_pktcipher_free(c);
    free(buffer);
}

static bare_result over_loopback(const pair *p, size_t size)
{
    const size_t total = (size_t)PACKET * ROUNDS;
    bare_result best = {0};
    int turn;

    for (turn = 0; turn < TURNS; turn++) {
        double start, mine, childs, rate;
        int fds[2];
        pid_t child;

        connected_pair(fds);
        childs = cpu_of(RUSAGE_CHILDREN);
        mine = cpu_of(RUSAGE_SELF);
        start = now();
        child = fork();
        if (child == 0) {
            close(fds[1]);
            send_bulk(fds[0], p, size, total);
            _exit(0);
        }
        close(fds[0]);
        receive_bulk(fds[1], p);
        rate = better(0, (double)total, now() - start);
        close(fds[1]);
        waitpid(child, NULL, 0);
        if (rate > best.mb_s) {
            best.mb_s = rate;
            best.send_cpu = (cpu_of(RUSAGE_CHILDREN) - childs) * (double)(1 << 30) / (double)total;
            best.receive_cpu = (cpu_of(RUSAGE_SELF) - mine) * (double)(1 << 30) / (double)total;
        }
    }
    return best;
}

int main(void)
{
    static const size_t sizes[] = {4096, 32 * 1024, 256 * 1024, 1024 * 1024};
    size_t i;

    printf("| cipher | libcrypto alone MB/s | seal MB/s | open MB/s | bare path MB/s | sender CPU "
           "s/GiB | receiver CPU s/GiB |\n|---|---|---|---|---|---|---|\n");
    for (i = 0; i < sizeof pairs / sizeof pairs[0]; i++) {
        bare_result r = over_loopback(&pairs[i], 0);

        printf("| %s | %.0f | %.0f | %.0f | %.0f | %.2f | %.2f |\n", pairs[i].name,
               raw_rate(pairs[i].raw()), seal_rate(&pairs[i]), open_rate(&pairs[i]), r.mb_s,
               r.send_cpu, r.receive_cpu);
        fflush(stdout);
    }
    printf("\n| loopback TCP, writes of | MB/s | sender CPU s/GiB | receiver CPU s/GiB "
           "|\n|---|---|---|---|\n");
    for (i = 0; i < sizeof sizes / sizeof sizes[0]; i++) {
        bare_result r = over_loopback(NULL, sizes[i]);

        printf("| %zu KiB | %.0f | %.2f | %.2f |\n", sizes[i] / 1024, r.mb_s, r.send_cpu,
               r.receive_cpu);
        fflush(stdout);
    }
    return 0;
}
