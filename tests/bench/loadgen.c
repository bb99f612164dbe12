/* Load generator of the fan-out benchmark, and the "exchange" in front of the server under test.
 *
 * One process, one epoll loop: N WebSocket clients over loopback, and a TCP listener that the
 * server connects to for its ticks. Every tick carries a stamp (nanoseconds of the monotonic clock
 * since start, plus STAMP_BASE), which comes back inside the rows the clients receive; one process
 * writes and reads it, so latency needs no second clock.
 *
 * A tick line is a ticker frame of the exchange, `[CHANNEL,[BID,BID_SIZE,ASK,ASK_SIZE,CHANGE,
 * CHANGE_RELATIVE,LAST,VOLUME,HIGH,LOW]]`, with the stamp as VOLUME and the symbol's number as
 * CHANNEL; symbol 7 is "tB0007USD". A received row is the symbol's name and, before the row's
 * closing bracket, the stamp: the only run of 16 digits.
 *
 * Arguments are `name=value` (see `options`). Words on stderr mark the phases ("connected",
 * "start", "stop"); the result is one JSON line on stdout.
 */
#define _GNU_SOURCE
#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <netinet/tcp.h>
#include <signal.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/resource.h>
#include <sys/timerfd.h>
#include <time.h>
#include <unistd.h>

#define STAMP_BASE 1000000000000000LL /* 16 digits, and exact as a double until it has run 90 days */
#define STAMP_DIGITS 16
#define MAX_FRAME (16 << 20)
#define CONNECTING_AT_ONCE 64 /* a storm connects all at once, every other run does not */
#define RETRY_NS 500000000LL  /* who is refused in a storm comes back, as a browser would */
#define SLOW_RCVBUF 8192      /* the line is slow, not the reader: little may wait on our side */
#define AGE_BIN_S 5

enum kind { FAST, SLOW, STALLED };
enum state { IDLE, CONNECTING, HANDSHAKE, OPEN, CLOSED };

struct client {
    int fd;
    enum kind kind;
    enum state state;
    int64_t began;  /* connect(2) was called */
    int64_t refused; /* when the last attempt was, 0 if it was not */
    double allowed; /* bytes a slow reader may take now */
    long pace;      /* its bytes per second */
    int64_t news; /* when the newest update came */
    int converged;
    uint8_t *rest; /* the beginning of a frame that is not complete yet */
    size_t rest_len;
    uint64_t *seen; /* newest stamp received, by symbol */
};

struct samples {
    uint32_t *us;
    size_t len, cap;
};

static long port, feed_port, clients = 50, symbols = 50, rate = 20, warm = 1000, window = 3000,
            drain = 2000, stalled, slow, pid, ping_every, storm, timeout_ms = 20000;
static const char *path = "/", *origin = "", *cookie = "", *paces = "20000";
static const struct {
    const char *name;
    long *number;
    const char **text;
} options[] = {
    {"port", &port, 0},       {"feed", &feed_port, 0},     {"clients", &clients, 0},
    {"symbols", &symbols, 0}, {"rate", &rate, 0},          {"warm", &warm, 0},
    {"window", &window, 0},   {"drain", &drain, 0},        {"stalled", &stalled, 0},
    {"slow", &slow, 0},       {"paces", 0, &paces},        {"pid", &pid, 0},
    {"ping", &ping_every, 0}, {"storm", &storm, 0},        {"timeout", &timeout_ms, 0},
    {"path", 0, &path},       {"origin", 0, &origin},      {"cookie", 0, &cookie},
};

static struct client *all;
static int epoll, listener = -1, feed = -1;
static uint64_t *sent_stamp; /* newest stamp sent, by symbol */
static int64_t t0, first_tick, last_tick, window_from, window_to;
static long ticks_sent, window_ticks;
static char *feed_out;
static size_t feed_len, feed_cap;
static struct samples latency, handshake, *age;
static size_t age_bins;
static long opened, refused, lost, malformed, backwards, repeats, pongs, pings_sent, pings_got;
static long updates, frames, bytes, slow_updates;
static uint8_t inbox[MAX_FRAME + 64];

static void fail(const char *what) {
    perror(what);
    exit(2);
}

static int64_t clock_of(clockid_t id) {
    struct timespec ts;
    return clock_gettime(id, &ts) ? 0 : ts.tv_sec * 1000000000LL + ts.tv_nsec;
}

static int64_t now_ns(void) { return clock_of(CLOCK_MONOTONIC); }

/* CPU time of the server with all its threads, the ended ones too (/proc/PID/task forgets those). */
static int64_t server_cpu(void) {
    clockid_t id;
    return pid && !clock_getcpuclockid((pid_t)pid, &id) ? clock_of(id) : 0;
}

static void note(struct samples *s, int64_t ns) {
    if (s->len == s->cap) {
        s->cap = s->cap ? s->cap * 2 : 4096;
        if (!(s->us = realloc(s->us, s->cap * sizeof *s->us))) fail("realloc");
    }
    s->us[s->len++] = ns < 0 ? 0 : (uint32_t)(ns / 1000);
}

static int by_size(const void *a, const void *b) {
    uint32_t x = *(const uint32_t *)a, y = *(const uint32_t *)b;
    return (x > y) - (x < y);
}

/* {"n":…,"p50":…,"p90":…,"p99":…,"max":…} in milliseconds */
static void print_samples(const char *name, struct samples *s) {
    qsort(s->us, s->len, sizeof *s->us, by_size);
#define AT(q) (s->len ? s->us[(size_t)((q) * (double)(s->len - 1))] / 1000.0 : 0.0)
    printf("\"%s\":{\"n\":%zu,\"p50\":%.3f,\"p90\":%.3f,\"p99\":%.3f,\"max\":%.3f}", name, s->len,
           AT(0.5), AT(0.9), AT(0.99), AT(1));
#undef AT
}

/* --- what a client receives ------------------------------------------------------------------ */

static void drop(struct client *c) {
    if (c->fd >= 0) close(c->fd);
    c->fd = -1;
    if (c->state == OPEN) lost++;
    if (c->state == CONNECTING || c->state == HANDSHAKE) {
        refused++;
        c->refused = now_ns();
        c->rest_len = 0;
    }
    c->state = CLOSED;
}

static void note_update(struct client *c, long symbol, uint64_t stamp, int64_t now) {
    if (stamp <= c->seen[symbol]) {
        if (stamp < c->seen[symbol]) backwards++;
        else repeats++;
        return;
    }
    c->seen[symbol] = stamp;
    c->news = now;
    int64_t late = now - t0 - (int64_t)(stamp - STAMP_BASE);
    if (now < window_from || now >= window_to) return;
    if (c->kind == FAST) {
        updates++;
        note(&latency, late);
    } else {
        slow_updates++;
        size_t bin = (size_t)((now - window_from) / (AGE_BIN_S * 1000000000LL));
        if (bin < age_bins) note(&age[bin], late);
    }
}

/* One row of `text`, or 0 when no further one begins there. */
static const char *read_row(struct client *c, const char *p, const char *end, int64_t now) {
    p = memmem(p, (size_t)(end - p), "\"tB", 3);
    if (!p || end - p < 11) return 0;
    long symbol = strtol(p + 3, 0, 10);
    int digits = 0;
    for (p += 10; p < end && *p != ']' && *p != '}'; p++) {
        digits = *p >= '0' && *p <= '9' ? digits + 1 : 0;
        if (digits == STAMP_DIGITS && (p + 1 == end || p[1] < '0' || p[1] > '9')) {
            if (symbol < 0 || symbol >= symbols) break;
            note_update(c, symbol, strtoull(p - STAMP_DIGITS + 1, 0, 10), now);
            return p;
        }
    }
    malformed++; /* a row without its stamp was cut or mixed up on the way */
    return p;
}

static void send_control(struct client *c, uint8_t opcode, const uint8_t *data, size_t len) {
    uint8_t frame[6 + 125] = {0x80 | opcode, 0x80 | (uint8_t)len}; /* the mask 0 leaves data as is */
    memcpy(frame + 6, data, len);
    if (send(c->fd, frame, 6 + len, MSG_NOSIGNAL | MSG_DONTWAIT) < 0) return; /* the read will tell */
}

static void take_payload(struct client *c, uint8_t opcode, const uint8_t *data, size_t len,
                         int64_t now) {
    if (opcode == 1) {
        const char *p = (const char *)data, *end = p + len;
        if (len < 2 || (*p != '{' && *p != '[') || (end[-1] != '}' && end[-1] != ']')) malformed++;
        while (p) p = read_row(c, p, end, now);
        if (now >= window_from && now < window_to) frames++;
    } else if (opcode == 9) {
        pings_got++;
        send_control(c, 10, data, len);
    } else if (opcode == 10) {
        pongs++;
    } else {
        send_control(c, 8, data, len < 2 ? len : 2);
        drop(c);
    }
}

/* Bytes of `buf` used. Strict: what RFC 6455 forbids a server, and fragments, which no peer here
 * sends, count as malformed and end the connection. */
static size_t take_frames(struct client *c, uint8_t *buf, size_t len, int64_t now) {
    size_t used = 0;
    while (c->state == OPEN && len - used >= 2) {
        uint8_t *f = buf + used, opcode = f[0] & 15;
        size_t head = 2, size = f[1] & 127;
        if (size == 126) head = 4;
        if (size == 127) head = 10;
        if (len - used < head) break;
        if (head > 2) {
            size = 0;
            for (size_t i = 2; i < head; i++) size = size << 8 | f[i];
        }
        int known = opcode == 1 || (opcode >= 8 && opcode <= 10);
        int minimal = size >= (head == 10 ? 65536u : head == 4 ? 126u : 0u);
        if ((f[0] & 0xf0) != 0x80 || (f[1] & 0x80) || !known || !minimal || size > MAX_FRAME / 2 ||
            (opcode >= 8 && size > 125)) {
            malformed++;
            drop(c);
            return len;
        }
        if (len - used < head + size) break;
        used += head + size;
        take_payload(c, opcode, f + head, size, now);
    }
    return used;
}

static size_t take_handshake(struct client *c, uint8_t *buf, size_t len, int64_t now) {
    uint8_t *end = memmem(buf, len, "\r\n\r\n", 4);
    if (!end) return 0;
    if (len < 12 || memcmp(buf, "HTTP/1.1 101", 12)) {
        drop(c);
        return len;
    }
    note(&handshake, now - c->began);
    c->state = OPEN;
    opened++;
    if (c->kind != FAST) epoll_ctl(epoll, EPOLL_CTL_DEL, c->fd, 0);
    return (size_t)(end + 4 - buf);
}

/* Reads at most `limit` bytes. All clients share one inbox: only the rest of a frame is kept. */
static ssize_t receive(struct client *c, size_t limit) {
    if (c->rest_len) memcpy(inbox, c->rest, c->rest_len);
    size_t room = sizeof inbox - c->rest_len;
    ssize_t got = recv(c->fd, inbox + c->rest_len, limit < room ? limit : room, MSG_DONTWAIT);
    if (got < 0 && (errno == EAGAIN || errno == EINTR)) return 0;
    if (got <= 0) {
        drop(c);
        return 0;
    }
    int64_t now = now_ns();
    if (now >= window_from && now < window_to) bytes += got;
    size_t len = c->rest_len + (size_t)got, used = 0;
    if (c->state == HANDSHAKE) used = take_handshake(c, inbox, len, now);
    if (c->state == OPEN) used += take_frames(c, inbox + used, len - used, now);
    c->rest_len = len - used;
    if (c->rest_len) {
        if (!(c->rest = realloc(c->rest, c->rest_len))) fail("realloc");
        memcpy(c->rest, inbox + used, c->rest_len);
    }
    return got;
}

/* --- connecting -------------------------------------------------------------------------------*/

static void watch(int fd, uint32_t events, void *who, int change) {
    struct epoll_event e = {.events = events, .data.ptr = who};
    if (epoll_ctl(epoll, change ? EPOLL_CTL_MOD : EPOLL_CTL_ADD, fd, &e)) fail("epoll_ctl");
}

static struct sockaddr_in loopback(long number) {
    struct sockaddr_in a = {.sin_family = AF_INET, .sin_port = htons((uint16_t)number)};
    a.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    return a;
}

static void begin(struct client *c) {
    struct sockaddr_in to = loopback(port);
    int small = SLOW_RCVBUF;
    if ((c->fd = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK, 0)) < 0) fail("socket");
    if (c->kind == SLOW) setsockopt(c->fd, SOL_SOCKET, SO_RCVBUF, &small, sizeof small);
    c->began = now_ns();
    c->state = CONNECTING;
    if (connect(c->fd, (void *)&to, sizeof to) && errno != EINPROGRESS) drop(c);
    else watch(c->fd, EPOLLOUT, c, 0);
}

static void ask_upgrade(struct client *c) {
    char text[2048];
    int broken = 0, len;
    socklen_t size = sizeof broken;
    getsockopt(c->fd, SOL_SOCKET, SO_ERROR, &broken, &size);
    len = snprintf(text, sizeof text,
                   "GET %s HTTP/1.1\r\nHost: 127.0.0.1:%ld\r\nUpgrade: websocket\r\n"
                   "Connection: Upgrade\r\nSec-WebSocket-Version: 13\r\n"
                   "Sec-WebSocket-Key: AAAAAAAAAAAAAAAAAAAAAA==\r\n%s%s%s%s%s%s\r\n",
                   path, port, *origin ? "Origin: " : "", origin, *origin ? "\r\n" : "",
                   *cookie ? "Cookie: " : "", cookie, *cookie ? "\r\n" : "");
    if (broken || send(c->fd, text, (size_t)len, MSG_NOSIGNAL) != len) {
        drop(c);
        return;
    }
    c->state = HANDSHAKE;
    watch(c->fd, EPOLLIN, c, 1);
}

static long pending(void) {
    long n = 0;
    for (long i = 0; i < clients; i++) n += all[i].state == CONNECTING || all[i].state == HANDSHAKE;
    return n;
}

static void begin_some(void) {
    static long next;
    long room = storm ? clients : CONNECTING_AT_ONCE - pending();
    while (next < clients && room-- > 0) begin(&all[next++]);
    for (long i = 0; storm && i < clients; i++)
        if (all[i].refused && now_ns() - all[i].refused > RETRY_NS) {
            all[i].refused = 0;
            begin(&all[i]);
        }
}

/* --- ticks ------------------------------------------------------------------------------------*/

/* Symbols take turns: a random choice would conflate differently in every run. */
static void add_tick(int64_t now) {
    static uint32_t dice = 1;
    static const double scale[] = {0.01, 1, 30, 400, 20000};
    long symbol = ticks_sent % symbols;
    dice = dice * 1664525u + 1013904223u;
    double move = (dice >> 8) / 16777216.0, last = scale[symbol % 5] * (1 + move);
    uint64_t stamp = (uint64_t)(now - t0 + STAMP_BASE);
    if (feed_cap - feed_len < 256 && !(feed_out = realloc(feed_out, feed_cap += 65536)))
        fail("realloc");
    feed_len += (size_t)snprintf(
        feed_out + feed_len, 256, "[%ld,[%.5g,%.8g,%.5g,%.8g,%.5g,%.4f,%.5g,%llu,%.5g,%.5g]]\n",
        symbol, last * 0.9999, 10 + move, last * 1.0001, 20 + move, last * 0.01, 0.01 + move / 10,
        last, (unsigned long long)stamp, last * 1.05, last * 0.95);
    sent_stamp[symbol] = stamp;
    last_tick = now;
    ticks_sent++;
    if (now >= window_from && now < window_to) window_ticks++;
}

static void feed_ticks(int64_t now) {
    if (feed < 0 || !window_to) return;
    if (!first_tick) first_tick = now;
    if (now < window_to) {
        long due = (long)((double)(now - first_tick) * (double)rate / 1e9);
        while (ticks_sent < due) add_tick(now);
    }
    if (!feed_len) return;
    ssize_t done = send(feed, feed_out, feed_len, MSG_DONTWAIT | MSG_NOSIGNAL);
    if (done < 0 && errno != EAGAIN) fail("the server closed the feed");
    if (done > 0) memmove(feed_out, feed_out + done, feed_len -= (size_t)done);
}

static void listen_feed(void) {
    struct sockaddr_in at = loopback(feed_port);
    int yes = 1;
    listener = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK, 0);
    setsockopt(listener, SOL_SOCKET, SO_REUSEADDR, &yes, sizeof yes);
    if (listener < 0 || bind(listener, (void *)&at, sizeof at) || listen(listener, 1))
        fail("feed port");
    watch(listener, EPOLLIN, &listener, 0);
}

static void accept_feed(void) {
    int yes = 1, fd = accept4(listener, 0, 0, SOCK_NONBLOCK);
    if (fd < 0) return;
    if (feed >= 0) close(feed);
    feed = fd;
    setsockopt(feed, IPPROTO_TCP, TCP_NODELAY, &yes, sizeof yes);
}

/* --- the run ----------------------------------------------------------------------------------*/

static void read_slowly(double seconds) {
    for (long i = 0; i < clients; i++) {
        struct client *c = &all[i];
        if (c->kind != SLOW || c->state != OPEN) continue;
        c->allowed += (double)c->pace * seconds;
        if (c->allowed >= 256) c->allowed -= (double)receive(c, (size_t)c->allowed);
        if (c->allowed > (double)c->pace) c->allowed = (double)c->pace; /* no bursts after a lull */
    }
}

static void ping_all(void) {
    for (long i = 0; i < clients; i++)
        if (all[i].state == OPEN && all[i].kind != STALLED) {
            send_control(&all[i], 9, (const uint8_t *)"bench", 5);
            pings_sent++;
        }
}

/* Whether every open client that reads holds the last tick of every symbol. */
static int converged(void) {
    int done = 1;
    for (long i = 0; i < clients; i++) {
        struct client *c = &all[i];
        if (c->kind == STALLED || c->converged || c->state != OPEN) continue;
        c->converged = !memcmp(c->seen, sent_stamp, (size_t)symbols * sizeof *c->seen);
        done &= c->converged;
    }
    return done;
}

static void turn(int timer) {
    static int64_t pinged, before;
    struct epoll_event events[256];
    int n = epoll_wait(epoll, events, 256, 1000);
    for (int i = 0; i < n; i++) {
        struct client *c = events[i].data.ptr;
        if ((void *)c == &listener) accept_feed();
        else if ((void *)c == &epoll) {
            uint64_t beats;
            if (read(timer, &beats, sizeof beats) < 0) continue;
            int64_t now = now_ns();
            feed_ticks(now);
            read_slowly(before ? (double)(now - before) / 1e9 : 0);
            before = now;
            if (ping_every && now - pinged > ping_every * 1000000) {
                pinged = now;
                ping_all();
            }
        } else if (c->state == CONNECTING) ask_upgrade(c);
        else if (c->state != CLOSED) receive(c, sizeof inbox);
    }
}

static int start_timer(void) {
    long every = rate ? 1000000000L / rate : 10000000L;
    every = every < 1000000 ? 1000000 : every > 10000000 ? 10000000 : every;
    struct itimerspec spec = {{0, every}, {0, every}};
    int timer = timerfd_create(CLOCK_MONOTONIC, TFD_NONBLOCK);
    if (timer < 0 || timerfd_settime(timer, 0, &spec, 0)) fail("timer");
    watch(timer, EPOLLIN, &epoll, 0);
    return timer;
}

static void make_clients(void) {
    const char *pace = paces;
    all = calloc((size_t)clients, sizeof *all);
    sent_stamp = calloc((size_t)symbols, sizeof *sent_stamp);
    age_bins = (size_t)(window / 1000 / AGE_BIN_S + 1);
    age = calloc(age_bins, sizeof *age);
    if (!all || !sent_stamp || !age) fail("calloc");
    for (long i = 0; i < clients; i++) {
        all[i].fd = -1;
        all[i].kind = i < stalled ? STALLED : i < stalled + slow ? SLOW : FAST;
        if (!(all[i].seen = calloc((size_t)symbols, sizeof *all[i].seen))) fail("calloc");
        if (all[i].kind == SLOW) { /* the paces take turns */
            all[i].pace = strtol(pace, (char **)&pace, 10);
            pace = *pace == ',' ? pace + 1 : paces;
        }
    }
}

/* Stalled clients never read, so only the kernel knows whether the server gave them up. */
static long count_dropped(void) {
    long n = 0;
    for (long i = 0; i < clients; i++) {
        struct tcp_info info;
        socklen_t len = sizeof info;
        if (all[i].kind != STALLED || all[i].fd < 0) continue;
        if (getsockopt(all[i].fd, IPPROTO_TCP, TCP_INFO, &info, &len)) continue;
        n += info.tcpi_state != 1; /* TCP_ESTABLISHED */
    }
    return n;
}

static void print_clients(void) {
    int64_t worst = 0;
    long late = 0, n = 0;
    for (long i = 0; i < clients; i++) {
        if (all[i].kind != FAST || all[i].state != OPEN) continue;
        if (!all[i].converged) late++;
        else if (all[i].news - last_tick > worst) worst = all[i].news - last_tick;
    }
    printf("\"unconverged\":%ld,\"converged_ms\":%.1f,\"slow\":[", late, (double)worst / 1e6);
    for (long i = 0; i < clients; i++)
        if (all[i].kind == SLOW)
            printf("%s{\"pace\":%ld,\"converged_ms\":%.1f}", n++ ? "," : "", all[i].pace,
                   all[i].converged ? (double)(all[i].news - last_tick) / 1e6 : -1.0);
    printf("],");
}

int main(int argc, char **argv) {
    for (int i = 1; i < argc; i++) {
        char *value = strchr(argv[i], '=');
        size_t known = sizeof options / sizeof *options, o = 0;
        if (!value) fail(argv[i]);
        *value++ = 0;
        while (o < known && strcmp(argv[i], options[o].name)) o++;
        if (o == known) fail(argv[i]);
        if (options[o].number) *options[o].number = strtol(value, 0, 10);
        else *options[o].text = value;
    }
    struct rlimit files;
    getrlimit(RLIMIT_NOFILE, &files);
    files.rlim_cur = files.rlim_max;
    setrlimit(RLIMIT_NOFILE, &files);
    signal(SIGPIPE, SIG_IGN);

    t0 = now_ns();
    if ((epoll = epoll_create1(0)) < 0) fail("epoll");
    make_clients();
    if (rate) listen_feed();
    int timer = start_timer();

    int64_t cpu_before = server_cpu(), began = now_ns(), deadline = began + timeout_ms * 1000000;
    while (opened + (storm ? 0 : refused) < clients && now_ns() < deadline) {
        begin_some();
        turn(timer);
    }
    int64_t connected = now_ns(), cpu_connected = server_cpu();
    long open_then = opened;
    fprintf(stderr, "connected\n");
    while (rate && feed < 0 && now_ns() < deadline) turn(timer);
    if (rate && feed < 0 && !storm) {
        fprintf(stderr, "the server did not connect to the feed\n");
        return 2;
    }

    int64_t cpu[2] = {0, 0}, own[2] = {0, 0};
    if (!storm) {
        window_to = INT64_MAX; /* ticks flow while it warms up, nothing is counted */
        window_from = INT64_MAX;
        for (int64_t until = now_ns() + warm * 1000000; now_ns() < until;) turn(timer);
        cpu[0] = server_cpu();
        own[0] = clock_of(CLOCK_PROCESS_CPUTIME_ID);
        window_from = now_ns();
        window_to = window_from + window * 1000000;
        fprintf(stderr, "start\n");
        while (now_ns() < window_to) turn(timer);
        cpu[1] = server_cpu();
        own[1] = clock_of(CLOCK_PROCESS_CPUTIME_ID);
        fprintf(stderr, "stop\n");
        for (int64_t until = now_ns() + drain * 1000000; now_ns() < until && !converged();)
            turn(timer);
    }

    printf("{\"clients\":%ld,\"opened\":%ld,\"refused\":%ld,\"lost\":%ld,\"dropped\":%ld,", clients,
           open_then, storm ? refused : clients - open_then, lost, count_dropped());
    printf("\"connect_s\":%.3f,\"connect_cpu_s\":%.4f,", (double)(connected - began) / 1e9,
           (double)(cpu_connected - cpu_before) / 1e9);
    printf("\"window_s\":%.3f,\"cpu_s\":%.4f,\"loader_cpu_s\":%.4f,\"ticks\":%ld,",
           (double)window / 1000, (double)(cpu[1] - cpu[0]) / 1e9, (double)(own[1] - own[0]) / 1e9,
           window_ticks);
    printf("\"updates\":%ld,\"frames\":%ld,\"bytes\":%ld,\"slow_updates\":%ld,", updates, frames,
           bytes, slow_updates);
    printf("\"malformed\":%ld,\"backwards\":%ld,\"repeats\":%ld,", malformed, backwards, repeats);
    printf("\"pings_sent\":%ld,\"pongs\":%ld,\"pings_got\":%ld,", pings_sent, pongs, pings_got);
    print_clients();
    print_samples("handshake", &handshake);
    printf(",");
    print_samples("latency", &latency);
    printf(",\"age\":[");
    for (size_t i = 0; i < age_bins && slow; i++) {
        printf("%s{\"to_s\":%zu,", i ? "," : "", (i + 1) * AGE_BIN_S);
        print_samples("ms", &age[i]);
        printf("}");
    }
    printf("]}\n");
    return 0;
}
