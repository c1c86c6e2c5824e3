/*
 * tty_modes.c - terminal modes as RFC 4254 section 8 (and RFC 8160's IUTF8) put them on the wire.
 *
 * Two tables name every opcode: control characters, and bits in one of termios' flag words. An opcode
 * that this system lacks is skipped when read. Baud rates travel as plain numbers.
 */
#include "io/fd.h"
#include "io/process.h"
#include "wire/rd.h"
#include "wire/wr.h"

#include <errno.h>
#include <string.h>
#include <termios.h>
#include <unistd.h>

enum {
    TTY_OP_END = 0,
    TTY_OP_ISPEED = 128,
    TTY_OP_OSPEED = 129,
    TTY_OP_OPAQUE = 160, /* from here on no argument length is known: stop */
    CHAR_DISABLED = 255, /* RFC 4254 8: this control character is off */
    MODES_MAX = 1024
};

typedef struct char_op {
    uint8_t op;
    uint8_t index; /* in c_cc */
} char_op;

static const char_op char_ops[] = {
    {1, VINTR},     {2, VQUIT}, {3, VERASE}, {4, VKILL}, {5, VEOF}, {6, VEOL},
#ifdef VEOL2
    {7, VEOL2},
#endif
    {8, VSTART},    {9, VSTOP}, {10, VSUSP},
#ifdef VDSUSP
    {11, VDSUSP},
#endif
#ifdef VREPRINT
    {12, VREPRINT},
#endif
#ifdef VWERASE
    {13, VWERASE},
#endif
#ifdef VLNEXT
    {14, VLNEXT},
#endif
#ifdef VFLUSH
    {15, VFLUSH},
#endif
#ifdef VSWTC
    {16, VSWTC},
#endif
#ifdef VSTATUS
    {17, VSTATUS},
#endif
#ifdef VDISCARD
    {18, VDISCARD},
#endif
};

typedef enum flag_word { IN, OUT, CTL, LOCAL } flag_word;

typedef struct flag_op {
    uint8_t op;
    flag_word word;
    tcflag_t mask;
    tcflag_t set; /* what "1" means under the mask */
} flag_op;

#define BIT(op, word, bit)                                                                         \
    {                                                                                              \
        (op), (word), (bit), (bit)                                                                 \
    }

static const flag_op flag_ops[] = {
    BIT(30, IN, IGNPAR),
    BIT(31, IN, PARMRK),
    BIT(32, IN, INPCK),
    BIT(33, IN, ISTRIP),
    BIT(34, IN, INLCR),
    BIT(35, IN, IGNCR),
    BIT(36, IN, ICRNL),
#ifdef IUCLC
    BIT(37, IN, IUCLC),
#endif
    BIT(38, IN, IXON),
    BIT(39, IN, IXANY),
    BIT(40, IN, IXOFF),
#ifdef IMAXBEL
    BIT(41, IN, IMAXBEL),
#endif
#ifdef IUTF8
    BIT(42, IN, IUTF8), /* RFC 8160 */
#endif
    BIT(50, LOCAL, ISIG),
    BIT(51, LOCAL, ICANON),
#ifdef XCASE
    BIT(52, LOCAL, XCASE),
#endif
    BIT(53, LOCAL, ECHO),
    BIT(54, LOCAL, ECHOE),
    BIT(55, LOCAL, ECHOK),
    BIT(56, LOCAL, ECHONL),
    BIT(57, LOCAL, NOFLSH),
    BIT(58, LOCAL, TOSTOP),
    BIT(59, LOCAL, IEXTEN),
#ifdef ECHOCTL
    BIT(60, LOCAL, ECHOCTL),
#endif
#ifdef ECHOKE
    BIT(61, LOCAL, ECHOKE),
#endif
#ifdef PENDIN
    BIT(62, LOCAL, PENDIN),
#endif
    BIT(70, OUT, OPOST),
#ifdef OLCUC
    BIT(71, OUT, OLCUC),
#endif
    BIT(72, OUT, ONLCR),
#ifdef OCRNL
    BIT(73, OUT, OCRNL),
#endif
#ifdef ONOCR
    BIT(74, OUT, ONOCR),
#endif
#ifdef ONLRET
    BIT(75, OUT, ONLRET),
#endif
    /* CS7 and CS8 share a field: 0 says nothing (the other opcode says what it is). */
    {90, CTL, CSIZE, CS7},
    {91, CTL, CSIZE, CS8},
    BIT(92, CTL, PARENB),
    BIT(93, CTL, PARODD),
};

typedef struct speed_row {
    speed_t code;
    uint32_t baud;
} speed_row;

static const speed_row speeds[] = {
    {B0, 0},
    {B50, 50},
    {B75, 75},
    {B110, 110},
    {B134, 134},
    {B150, 150},
    {B200, 200},
    {B300, 300},
    {B600, 600},
    {B1200, 1200},
    {B1800, 1800},
    {B2400, 2400},
    {B4800, 4800},
    {B9600, 9600},
    {B19200, 19200},
    {B38400, 38400},
#ifdef B57600
    {B57600, 57600},
#endif
#ifdef B115200
    {B115200, 115200},
#endif
#ifdef B230400
    {B230400, 230400},
#endif
#ifdef B460800
    {B460800, 460800},
#endif
#ifdef B921600
    {B921600, 921600},
#endif
#ifdef B4000000
    {B4000000, 4000000},
#endif
};

enum {
    CHAR_OPS = sizeof(char_ops) / sizeof(char_ops[0]),
    FLAG_OPS = sizeof(flag_ops) / sizeof(flag_ops[0]),
    SPEEDS = sizeof(speeds) / sizeof(speeds[0])
};

static uint32_t baud_of(speed_t code)
{
    for (size_t i = 0; i < SPEEDS; i++) {
        if (speeds[i].code == code) {
            return speeds[i].baud;
        }
    }
    return 9600;
}

/* The fastest that is not above baud: a made-up rate is no reason to hang a line up (B0). */
static speed_t code_of(uint32_t baud)
{
    speed_t best = B50;
    for (size_t i = 1; i < SPEEDS; i++) {
        if (speeds[i].baud <= baud) {
            best = speeds[i].code;
        }
    }
    return best;
}

static tcflag_t *word_of(struct termios *tio, flag_word word)
{
    switch (word) {
    case IN:
        return &tio->c_iflag;
    case OUT:
        return &tio->c_oflag;
    case CTL:
        return &tio->c_cflag;
    default:
        return &tio->c_lflag;
    }
}

int nc_tty_modes_encode(const struct termios *tio, uint8_t *out, size_t *n)
{
    nc_buf b;
    nc_buf_init(&b, NULL, MODES_MAX);
    nc_wr w = {.b = &b};
    struct termios copy = *tio;
    nc_wr_u8(&w, TTY_OP_OSPEED);
    nc_wr_u32(&w, baud_of(cfgetospeed(tio)));
    nc_wr_u8(&w, TTY_OP_ISPEED);
    nc_wr_u32(&w, baud_of(cfgetispeed(tio)));
    for (size_t i = 0; i < CHAR_OPS; i++) {
        cc_t c = tio->c_cc[char_ops[i].index];
        nc_wr_u8(&w, char_ops[i].op);
        nc_wr_u32(&w, c == (cc_t)_POSIX_VDISABLE ? CHAR_DISABLED : c);
    }
    for (size_t i = 0; i < FLAG_OPS; i++) {
        const flag_op *f = &flag_ops[i];
        nc_wr_u8(&w, f->op);
        nc_wr_u32(&w, (*word_of(&copy, f->word) & f->mask) == f->set);
    }
    nc_wr_u8(&w, TTY_OP_END);
    int rc = w.err;
    if (rc == NACRE_OK && b.len > *n) {
        rc = NACRE_TOO_LARGE;
    }
    if (rc == NACRE_OK) {
        memcpy(out, b.data, b.len);
        *n = b.len;
    }
    nc_buf_clear(&b);
    return rc;
}

static void apply(struct termios *tio, uint8_t op, uint32_t value)
{
    if (op == TTY_OP_ISPEED) {
        (void)cfsetispeed(tio, code_of(value));
        return;
    }
    if (op == TTY_OP_OSPEED) {
        (void)cfsetospeed(tio, code_of(value));
        return;
    }
    for (size_t i = 0; i < CHAR_OPS; i++) {
        if (char_ops[i].op == op) {
            tio->c_cc[char_ops[i].index] =
                value == CHAR_DISABLED ? (cc_t)_POSIX_VDISABLE : (cc_t)(value & 0xff);
            return;
        }
    }
    for (size_t i = 0; i < FLAG_OPS; i++) {
        const flag_op *f = &flag_ops[i];
        if (f->op != op) {
            continue;
        }
        tcflag_t *word = word_of(tio, f->word);
        if (value) {
            *word = (*word & ~f->mask) | f->set;
        } else if (f->mask != CSIZE) {
            *word &= ~f->mask;
        }
        return;
    }
}

int nc_tty_modes_decode(struct termios *tio, nacre_span modes)
{
    nc_rd r = nc_rd_init(modes);
    /* Each round takes five bytes at least, so the span bounds it. */
    while (nc_rd_left(&r) > 0) {
        uint8_t op = nc_rd_u8(&r);
        if (op == TTY_OP_END || op >= TTY_OP_OPAQUE) {
            return NACRE_OK;
        }
        uint32_t value = nc_rd_u32(&r);
        if (r.err) {
            return NACRE_MALFORMED;
        }
        apply(tio, op, value);
    }
    return NACRE_OK;
}

int nacre_tty_modes(int fd, uint8_t *out, size_t *n)
{
    struct termios tio;
    if (tcgetattr(fd, &tio) == 0) {
        return nc_tty_modes_encode(&tio, out, n);
    }
    if (*n < 1) {
        return NACRE_TOO_LARGE;
    }
    out[0] = TTY_OP_END;
    *n = 1;
    return NACRE_OK;
}

int nacre_tty_apply_modes(int fd, nacre_span modes)
{
    struct termios tio;
    if (modes.n == 0) {
        return NACRE_OK;
    }
    if (tcgetattr(fd, &tio) != 0) {
        return NACRE_NOT_FOUND;
    }
    /* What came before a cut is good: apply it all the same. */
    int rc = nc_tty_modes_decode(&tio, modes);
    int set;
    do {
        set = tcsetattr(fd, TCSANOW, &tio);
    } while (set != 0 && errno == EINTR);
    return set != 0 ? NACRE_IO : rc;
}
