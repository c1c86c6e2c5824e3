/*
 * The small grammars that configuration, trust files and command lines share: words in quotes, numbers, times, sizes,
 * dates, patterns, blocks of addresses, paths. By the first byte; what is promised about a result is looked at.
 */
#include <stdlib.h>
#include <string.h>

#include "base/words.h"
#include "fuzz.h"
#include "keys/pattern.h"
#include "nacre/dates.h"
#include "nacre/paths.h"

enum { LONGEST = 2000 };

static void insist(bool truth)
{
    if (!truth) {
        abort();
    }
}

static void lines(nacre_span text)
{
    nacre_span rest = text, line;
    size_t total = 0;
    while (nc_next_line(&rest, &line)) {
        insist(line.p >= text.p && line.p + line.n <= text.p + text.n);
        total += line.n + 1;
        nacre_span bare = nc_trim_blanks(line);
        insist(bare.n <= line.n);
    }
    insist(total >= text.n && total <= text.n + 1);
}

/* A word is never longer than what it is made from, and each takes something off. */
static void one_line(const char *text)
{
    char word[LONGEST + 1];
    const char *at = text;
    nacre_span keyword = nc_next_keyword(&at);
    insist(keyword.n <= strlen(text));
    for (;;) {
        const char *before = at;
        int rc = nc_next_word(&at, word, sizeof(word));
        insist(rc == 1 || rc == 0 || rc == NACRE_SYNTAX);
        if (rc != 1) {
            return;
        }
        insist(at > before && strlen(word) <= (size_t)(at - before));
    }
}

static void numbers(const char *text)
{
    uint32_t seconds = 7, number = 7;
    uint64_t bytes = 7;
    insist(nc_parse_number(text, 10, 99, &number) ? number >= 10 && number <= 99 : number == 7);
    insist(nc_parse_time(text, &seconds) ? seconds <= INT32_MAX : seconds == 7);
    insist(nc_parse_size(text, &bytes) || bytes == 7);
    insist(nacre_duration_parse(text, &number) != NACRE_OK || number == seconds);
    (void)!nc_parse_rekey_size(text, &bytes);
    (void)!nc_parse_rekey_time(text, &number);
}

static void date(nacre_span text)
{
    char out[32];
    uint64_t seconds, back;
    if (nacre_date_parse(text, NULL, NULL, &seconds) != NACRE_OK) {
        return;
    }
    /* What is written is the same moment, once it looks as it is read: digits, and no more. */
    insist(nacre_date_write(seconds, NULL, NULL, out, sizeof(out)) == 19);
    char digits[16];
    size_t n = 0;
    for (const char *p = out; *p; p++) {
        if (*p >= '0' && *p <= '9' && n < sizeof(digits) - 1) {
            digits[n++] = *p;
        }
    }
    insist(n == 14);
    insist(nacre_date_parse(nc_span(digits, n), NULL, NULL, &back) == NACRE_OK && back == seconds);
}

static void patterns(nacre_span text)
{
    nacre_span name = fuzz_take(&text, text.n / 4);
    nc_ip ip, block;
    unsigned prefix;
    (void)nc_pattern_match(name, text, true);
    nc_match found = nc_pattern_list(name, text, false);
    /* One more that is negated and fits turns any list down. */
    if (text.n < LONGEST / 2) {
        char more[LONGEST];
        memcpy(more, "!*,", 3);
        if (text.n) {
            memcpy(more + 3, text.p, text.n);
        }
        insist(nc_pattern_list(name, nc_span(more, text.n + 3), false) == NC_MATCH_NEGATED);
    }
    insist(found != NC_MATCH_BAD);
    (void)nc_peer_list(name, text, text);
    (void)nc_block_list(name, text);
    if (nc_ip_parse_block(text, &block, &prefix)) {
        insist(prefix <= block.bits && nc_ip_in_block(&block, &block, prefix));
    }
    if (nc_ip_parse(text, &ip)) {
        insist(nc_block_list(text, text) != NC_MATCH_NO || memchr(text.p, '%', text.n));
    }
}

/* Nothing leaves the root, and steps come one after the other. */
static void paths(const char *text)
{
    static const char root[] = "/srv/jail";
    char out[LONGEST + 64];
    size_t state = 0, step, before = 0;
    while ((step = nacre_path_advance(text, &state)) > 0) {
        insist(step > before && step <= strlen(text));
        before = step;
    }
    state = 0;
    before = SIZE_MAX;
    while ((step = nacre_path_retreat(text, &state)) > 0) {
        insist(step < before);
        before = step;
    }
    if (nacre_path_reparent(root, text, out, sizeof(out)) == NACRE_OK) {
        size_t n = strlen(out);
        insist(strncmp(out, root, sizeof(root) - 1) == 0);
        insist(!strstr(out, "/../") && !(n > 2 && strcmp(out + n - 3, "/..") == 0));
    }
    insist(nacre_path_join("dir", text, out, sizeof(out)) == NACRE_OK);
    insist(text[0] == '/' ? strcmp(out, text) == 0 : strncmp(out, "dir", 3) == 0);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static char text[LONGEST + 1];
    nacre_span in = {data, size};
    uint8_t kind = fuzz_byte(&in);
    in.n = in.n < LONGEST ? in.n : LONGEST;
    if (in.n) {
        memcpy(text, in.p, in.n);
    }
    text[in.n] = '\0';
    switch (kind % 6) {
    case 0:
        lines(in);
        break;
    case 1:
        one_line(text);
        break;
    case 2:
        numbers(text);
        break;
    case 3:
        date(in);
        break;
    case 4:
        patterns(in);
        break;
    default:
        paths(text);
        break;
    }
    return 0;
}
