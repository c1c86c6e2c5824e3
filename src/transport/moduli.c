#include "transport/moduli.h"

#include <string.h>

#include "keys/key.h"

enum {
    TYPE_SAFE = 2,      /* moduli(5): p and (p-1)/2 are prime */
    TEST_COMPOSITE = 1, /* known not to be prime */
    MAX_LINE = 8192     /* 8192 bits are 2048 hex digits; 16384 are 4096 */
};

typedef struct modulus_line {
    uint32_t type, tests, tries, size, generator;
    nacre_span hex;
} modulus_line;

static bool read_number(nacre_span word, uint32_t *out)
{
    uint32_t v = 0;
    if (word.n == 0 || word.n > 9) {
        return false;
    }
    for (size_t i = 0; i < word.n; i++) {
        if (word.p[i] < '0' || word.p[i] > '9') {
            return false;
        }
        v = v * 10 + (uint32_t)(word.p[i] - '0');
    }
    *out = v;
    return true;
}

static int hex_digit(uint8_t ch)
{
    if (ch >= '0' && ch <= '9') {
        return ch - '0';
    }
    uint8_t low = nc_text_lower(ch);
    return low >= 'a' && low <= 'f' ? low - 'a' + 10 : -1;
}

static bool all_hex(nacre_span s)
{
    for (size_t i = 0; i < s.n; i++) {
        if (hex_digit(s.p[i]) < 0) {
            return false;
        }
    }
    return s.n > 0;
}

/* Bits of a hex number without leading zeros. */
static uint32_t hex_bits(nacre_span s)
{
    uint32_t bits = (uint32_t)(s.n - 1) * 4;
    for (int top = hex_digit(s.p[0]); top > 0; top >>= 1) {
        bits++;
    }
    return bits;
}

/* Time, type, tests, tries, size (bits - 1), generator, modulus. */
static bool read_line(nacre_span line, modulus_line *m)
{
    uint32_t *const numbers[] = {&m->type, &m->tests, &m->tries, &m->size, &m->generator};
    line = nc_text_trim(line);
    if (line.n == 0 || line.n > MAX_LINE || line.p[0] == '#') {
        return false;
    }
    (void)nc_text_word(&line); /* time: of no concern */
    for (size_t i = 0; i < sizeof(numbers) / sizeof(numbers[0]); i++) {
        if (!read_number(nc_text_word(&line), numbers[i])) {
            return false;
        }
    }
    m->hex = nc_text_word(&line);
    while (m->hex.n > 1 && m->hex.p[0] == '0') {
        m->hex.p++;
        m->hex.n--;
    }
    bool tested = m->tests > TEST_COMPOSITE && !(m->tests & TEST_COMPOSITE) && m->tries > 0;
    m->size++;
    return m->type == TYPE_SAFE && tested && m->generator >= 2 && all_hex(m->hex) &&
           hex_bits(m->hex) == m->size;
}

static bool fits_better(uint32_t size, uint32_t best, uint32_t preferred)
{
    if (best == 0) {
        return true;
    }
    return best < preferred ? size > best : size >= preferred && size < best;
}

static bool in_range(const modulus_line *m, uint32_t min, uint32_t max)
{
    return m->size >= min && m->size <= max;
}

/* The n-th usable line of that size. */
static bool find_line(nacre_span text, uint32_t size, uint32_t n, modulus_line *m)
{
    nacre_span line;
    while (nc_text_line(&text, &line)) {
        if (read_line(line, m) && m->size == size && n-- == 0) {
            return true;
        }
    }
    return false;
}

static int decode(const modulus_line *m, nc_buf *storage, nc_dh_group *group)
{
    size_t n = (m->hex.n + 1) / 2;
    uint8_t *p = nc_buf_extend(storage, n + 4);
    if (!p) {
        return NACRE_NO_MEMORY;
    }
    memset(p, 0, n);
    for (size_t i = 0; i < m->hex.n; i++) {
        size_t nibble = m->hex.n - 1 - i; /* from the low end */
        unsigned digit = (unsigned)hex_digit(m->hex.p[i]);
        p[n - 1 - nibble / 2] |= (uint8_t)(digit << (nibble % 2 ? 4 : 0));
    }
    for (int i = 0; i < 4; i++) {
        p[n + (size_t)i] = (uint8_t)(m->generator >> (24 - 8 * i));
    }
    group->p = nc_span(p, n);
    group->g = nc_span(p + n, 4);
    while (group->g.n > 1 && group->g.p[0] == 0) {
        group->g.p++;
        group->g.n--;
    }
    return NACRE_OK;
}

int nc_moduli_choose(nacre_span text, uint32_t min, uint32_t preferred, uint32_t max,
                     const nc_random *rnd, nc_buf *storage, nc_dh_group *group)
{
    modulus_line m;
    uint32_t best = 0;
    uint32_t count = 0;
    nacre_span rest = text;
    nacre_span line;
    while (nc_text_line(&rest, &line)) {
        if (!read_line(line, &m) || !in_range(&m, min, max)) {
            continue;
        }
        if (m.size != best && fits_better(m.size, best, preferred)) {
            best = m.size;
            count = 0;
        }
        count += m.size == best ? 1 : 0;
    }
    if (count == 0) {
        return NACRE_NOT_FOUND;
    }
    uint8_t dice[4];
    int rc = nc_random_bytes(rnd, dice, sizeof(dice));
    if (rc != NACRE_OK) {
        return rc;
    }
    uint32_t n =
        ((uint32_t)dice[0] << 24 | (uint32_t)dice[1] << 16 | (uint32_t)dice[2] << 8 | dice[3]) %
        count;
    return find_line(text, best, n, &m) ? decode(&m, storage, group) : NACRE_NOT_FOUND;
}
