/*
 * randomart.c - a fingerprint as a picture, which people compare more readily than letters: the walk of the
 * "drunken bishop" over a board, as ssh-keygen -lv draws it.
 */
#include "crypto/crypto.h"
#include "keys/cert.h"

#include <stdio.h>
#include <string.h>

enum { WIDTH = 17, HEIGHT = 9, LINE = WIDTH + 3, TITLE = WIDTH };

/* What a square shows by how often it was visited; the last two mark the start and the end. */
static const char marks[] = " .o+=*BOX@%&#/^SE";
enum { MARK_START = sizeof(marks) - 3, MARK_END, MARK_MOST = MARK_START - 1 };

static int clamp(int v, int most)
{
    return v < 0 ? 0 : v > most ? most : v;
}

static void walk(nacre_span digest, uint8_t board[HEIGHT][WIDTH])
{
    int x = WIDTH / 2, y = HEIGHT / 2;
    for (size_t i = 0; i < digest.n; i++) {
        for (unsigned step = 0; step < 8; step += 2) {
            unsigned move = (unsigned)digest.p[i] >> step & 3;
            x = clamp(x + (move & 1 ? 1 : -1), WIDTH - 1);
            y = clamp(y + (move & 2 ? 1 : -1), HEIGHT - 1);
            board[y][x] = (uint8_t)(board[y][x] + (board[y][x] < MARK_MOST ? 1 : 0));
        }
    }
    board[HEIGHT / 2][WIDTH / 2] = MARK_START;
    board[y][x] = MARK_END;
}

/* "+---[TITLE]---+" */
static void border(char line[LINE + 1], const char *title)
{
    size_t n = strlen(title);
    memset(line, '-', LINE);
    line[0] = line[WIDTH + 1] = '+';
    memcpy(line + 1 + (WIDTH - n) / 2, title, n);
    line[WIDTH + 2] = '\0';
}

int nacre_key_randomart(const nacre_key *k, const char *hash, char *out, size_t size)
{
    const nc_hash_alg *alg = hash ? nc_hash_find(hash) : nc_hash_get(NC_SHA256);
    uint8_t digest[NC_MAX_HASH];
    uint8_t board[HEIGHT][WIDTH];
    char line[LINE + 1], title[TITLE], name[TITLE];
    nacre_span blob = nc_key_plain_blob(k);
    nc_text_empty(out, size);
    if (!alg) {
        return NACRE_UNKNOWN_NAME;
    }
    int rc = nc_hash(alg, &blob, 1, digest);
    if (rc != NACRE_OK) {
        return rc;
    }
    if (size < (size_t)(WIDTH + 3) * (HEIGHT + 2)) {
        return NACRE_TOO_LARGE;
    }
    memset(board, 0, sizeof(board));
    walk(nc_span(digest, alg->len), board);
    /* A title that is wider than the board goes without its bits. */
    int n = snprintf(title, sizeof(title), "[%s %u]", nacre_key_label(k), nacre_key_bits(k));
    if (n < 0 || n > TITLE) {
        (void)snprintf(title, sizeof(title), "[%.14s]", nacre_key_label(k));
    }
    (void)snprintf(name, sizeof(name), "[%.14s]", alg->name);
    border(line, title);
    n = snprintf(out, size, "%s\n", line);
    for (int y = 0; y < HEIGHT; y++) {
        out[n++] = '|';
        for (int x = 0; x < WIDTH; x++) {
            out[n++] = marks[board[y][x]];
        }
        out[n++] = '|';
        out[n++] = '\n';
    }
    border(line, name);
    return n + snprintf(out + n, size - (size_t)n, "%s", line);
}
