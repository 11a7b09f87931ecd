/*
 * A load generator for UDP request and answer protocols with an 8-bit Identifier.
 *
 * Enters: a file of ready packets (see packet-file.ts), a port on loopback, and how to send: closed loop (a window of requests without an
 * answer, so the server is measured and not a socket buffer) or open loop (a fixed rate, whatever comes back). Leaves: one JSON line on
 * standard output, and on request files of sampled answers and of the addresses given. Invariants: packet i always uses the same socket and
 * the Identifier that it was made with; an answer is counted once, and only when its Identifier waits, its Length field is its length and its
 * code is the expected one; memory is bounded by the number of packets.
 *
 * With --echo it is the other side: it returns every datagram as it is, which shows how much the sending side can do at most.
 */
#define _GNU_SOURCE
#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <signal.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

/* Consecutive packets that share a socket, so that one system call sends several; packet-file.ts has the same number. */
#define RUN 8
/* Datagrams that one system call receives or sends at most. */
#define BATCH 64
/* RFC 2865 section 3. */
#define MAX_PACKET 4096
#define IDENTIFIERS 256
#define MAX_SOCKETS 1024
/* "SLP1", number of packets; then for each: length, expected code (0: any), 2 octets each, and the octets. Little-endian. */
#define FILE_MAGIC 0x31504c53u

struct slot {
  uint64_t first_sent_ns;
  uint64_t last_sent_ns;
  uint32_t packet;
  uint8_t tries;
  uint8_t waiting;
};

static struct {
  const char *packets, *samples, *addresses;
  uint32_t port, sockets, window, timeout_ms, tries, tick_us, first, count, sample_every;
  double seconds, rate;
} options = { .sockets = 256, .window = 256, .timeout_ms = 2000, .tries = 3, .tick_us = 100, .sample_every = 1000 };

static const uint8_t *file_bytes;
static uint64_t *offsets;
static uint32_t packet_count;
static int socket_of[MAX_SOCKETS];
static struct slot *slots;
static uint32_t slot_count;
static uint32_t *latencies_us;
static uint32_t *addresses;
static uint64_t sent, answered, lost, repeated, wrong, strays, in_flight, address_count;
static uint64_t started_ns;
/* When sending ended, and how many were answered by then: stragglers, and whoever was dropped, must not stretch the time. */
static uint64_t sending_ended_ns, answered_in_time;
static FILE *sample_file;

static void die(const char *what) {
  fprintf(stderr, "udp-load: %s: %s\n", what, strerror(errno));
  exit(1);
}

static uint64_t now_ns(void) {
  struct timespec t;
  clock_gettime(CLOCK_MONOTONIC, &t);
  return (uint64_t)t.tv_sec * 1000000000u + (uint64_t)t.tv_nsec;
}

static uint16_t read_u16(const uint8_t *at) { return (uint16_t)(at[0] | at[1] << 8); }
static uint32_t read_u32(const uint8_t *at) { return (uint32_t)read_u16(at) | (uint32_t)read_u16(at + 2) << 16; }

static int open_socket(uint32_t port, int connects) {
  int fd = socket(AF_INET, SOCK_DGRAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
  if (fd < 0) die("socket");
  int octets = 1 << 20;
  setsockopt(fd, SOL_SOCKET, SO_RCVBUF, &octets, sizeof octets);
  struct sockaddr_in address = { .sin_family = AF_INET, .sin_port = htons((uint16_t)port), .sin_addr.s_addr = htonl(INADDR_LOOPBACK) };
  if (connects) {
    struct sockaddr_in own = address;
    own.sin_port = 0;
    if (bind(fd, (struct sockaddr *)&own, sizeof own) < 0) die("bind");
    if (connect(fd, (struct sockaddr *)&address, sizeof address) < 0) die("connect");
  } else if (bind(fd, (struct sockaddr *)&address, sizeof address) < 0) {
    die("bind");
  }
  return fd;
}

static void map_packets(void) {
  int fd = open(options.packets, O_RDONLY | O_CLOEXEC);
  struct stat about;
  if (fd < 0 || fstat(fd, &about) < 0) die(options.packets);
  uint64_t size = (uint64_t)about.st_size;
  file_bytes = mmap(NULL, size, PROT_READ, MAP_PRIVATE | MAP_POPULATE, fd, 0);
  if (file_bytes == MAP_FAILED) die("mmap");
  close(fd);
  errno = EINVAL;
  if (size < 8 || read_u32(file_bytes) != FILE_MAGIC) die("not a packet file");
  packet_count = read_u32(file_bytes + 4);
  offsets = malloc(sizeof *offsets * ((size_t)packet_count + 1));
  if (!offsets) die("malloc");
  uint64_t at = 8;
  for (uint32_t i = 0; i < packet_count; i++) {
    offsets[i] = at;
    if (at + 4 > size) die("packet file cut off");
    uint16_t length = read_u16(file_bytes + at);
    at += 4u + length;
    if (length < 20 || length > MAX_PACKET || at > size) die("packet file damaged");
  }
}

static struct slot *slot_of(uint32_t packet) { return &slots[packet % slot_count]; }
static uint32_t socket_index(uint32_t packet) { return packet / RUN % options.sockets; }

/* Sends packets that share a socket; what the kernel refuses for now is sent again when its time is over. */
static void send_run(const uint32_t *packets, uint32_t count) {
  struct mmsghdr messages[BATCH];
  struct iovec parts[BATCH];
  memset(messages, 0, sizeof *messages * count);
  for (uint32_t i = 0; i < count; i++) {
    const uint8_t *record = file_bytes + offsets[packets[i]];
    parts[i] = (struct iovec){ (void *)(record + 4), read_u16(record) };
    messages[i].msg_hdr.msg_iov = &parts[i];
    messages[i].msg_hdr.msg_iovlen = 1;
  }
  int fd = socket_of[socket_index(packets[0])];
  for (uint32_t done = 0; done < count;) {
    int n = sendmmsg(fd, messages + done, count - done, 0);
    if (n > 0) done += (uint32_t)n;
    else if (errno != ECONNREFUSED && errno != EINTR) break;
    else if (errno == ECONNREFUSED) done++;
  }
}

static void note_new(uint32_t packet, uint64_t at_ns) {
  struct slot *slot = slot_of(packet);
  *slot = (struct slot){ .first_sent_ns = at_ns, .last_sent_ns = at_ns, .packet = packet, .tries = 1, .waiting = 1 };
  in_flight++;
  sent++;
}

static void keep_sample(uint32_t packet, const uint8_t *answer, uint32_t length) {
  uint8_t head[6] = { (uint8_t)packet, (uint8_t)(packet >> 8), (uint8_t)(packet >> 16), (uint8_t)(packet >> 24), (uint8_t)length, (uint8_t)(length >> 8) };
  fwrite(head, 1, sizeof head, sample_file);
  fwrite(answer, 1, length, sample_file);
}

/* Framed-IP-Address (RFC 2865 section 5.8), when there is one. */
static void keep_address(const uint8_t *answer, uint32_t length) {
  for (uint32_t at = 20; at + 2 <= length && answer[at + 1] >= 2; at += answer[at + 1]) {
    if (answer[at] != 8 || answer[at + 1] != 6 || at + 6 > length) continue;
    addresses[address_count++] = (uint32_t)answer[at + 2] << 24 | (uint32_t)answer[at + 3] << 16 | (uint32_t)answer[at + 4] << 8 | answer[at + 5];
    return;
  }
}

static void take_answer(uint32_t socket, const uint8_t *answer, uint32_t length, uint64_t at_ns) {
  if (length < 20) {
    wrong++;
    return;
  }
  uint32_t identifier = answer[1];
  /* The inverse of how packets are spread over sockets and Identifiers. */
  struct slot *slot = &slots[(identifier / RUN) * RUN * options.sockets + socket * RUN + identifier % RUN];
  if (!slot->waiting) {
    strays++;
    return;
  }
  uint32_t expected = read_u16(file_bytes + offsets[slot->packet] + 2);
  if ((expected != 0 && answer[0] != expected) || (uint32_t)(answer[2] << 8 | answer[3]) != length) wrong++;
  slot->waiting = 0;
  in_flight--;
  latencies_us[answered++] = (uint32_t)((at_ns - slot->first_sent_ns) / 1000);
  if (sample_file && answered % options.sample_every == 1 % options.sample_every) keep_sample(slot->packet, answer, length);
  if (addresses) keep_address(answer, length);
}

static uint8_t receive_space[BATCH][MAX_PACKET];

static void receive_all(int poll_fd, int wait_ms) {
  struct epoll_event ready[MAX_SOCKETS];
  int count = epoll_wait(poll_fd, ready, MAX_SOCKETS, wait_ms);
  struct mmsghdr messages[BATCH];
  struct iovec parts[BATCH];
  for (int e = 0; e < count; e++) {
    uint32_t socket = ready[e].data.u32;
    for (;;) {
      memset(messages, 0, sizeof messages);
      for (uint32_t i = 0; i < BATCH; i++) {
        parts[i] = (struct iovec){ receive_space[i], MAX_PACKET };
        messages[i].msg_hdr.msg_iov = &parts[i];
        messages[i].msg_hdr.msg_iovlen = 1;
      }
      int n = recvmmsg(socket_of[socket], messages, BATCH, MSG_DONTWAIT, NULL);
      if (n <= 0) break;
      uint64_t at_ns = now_ns();
      for (int i = 0; i < n; i++) take_answer(socket, receive_space[i], messages[i].msg_len, at_ns);
      if (n < BATCH) break;
    }
  }
}

static uint64_t swept_ns;

/* Requests that got no answer in time are sent again, as a NAS would, with the same octets; after the last try they are lost. */
static void sweep(uint64_t at_ns) {
  if (at_ns - swept_ns < 20000000u) return;
  swept_ns = at_ns;
  uint64_t patience_ns = (uint64_t)options.timeout_ms * 1000000u;
  for (uint32_t i = 0; i < slot_count; i++) {
    struct slot *slot = &slots[i];
    if (!slot->waiting || at_ns - slot->last_sent_ns < patience_ns) continue;
    if (slot->tries >= options.tries) {
      slot->waiting = 0;
      in_flight--;
      lost++;
      continue;
    }
    slot->tries++;
    slot->last_sent_ns = at_ns;
    repeated++;
    send_run(&slot->packet, 1);
  }
}

static void rest(uint32_t microseconds) {
  struct timespec t = { microseconds / 1000000, (long)(microseconds % 1000000) * 1000 };
  nanosleep(&t, NULL);
}

/* Sends what the window or the rate allows. Returns the next packet. */
static uint32_t send_some(uint32_t next, uint32_t end, uint64_t at_ns) {
  uint32_t run[RUN];
  uint32_t count = 0;
  int open_loop = options.rate > 0;
  uint64_t due = open_loop ? (uint64_t)((double)(at_ns - started_ns) / 1e9 * options.rate) + 1 : 0;
  while (next < end && (open_loop ? next - options.first < due : in_flight < options.window)) {
    struct slot *slot = slot_of(next);
    if (slot->waiting) {
      if (!open_loop) break;
      /* The Identifier is wanted again: whoever waits for so long gets no answer any more. */
      slot->waiting = 0;
      in_flight--;
      lost++;
    }
    if (count > 0 && (count == RUN || socket_index(next) != socket_index(run[0]))) {
      send_run(run, count);
      count = 0;
    }
    note_new(next, at_ns);
    run[count++] = next++;
  }
  if (count > 0) send_run(run, count);
  return next;
}

static int by_value(const void *a, const void *b) {
  uint32_t x = *(const uint32_t *)a, y = *(const uint32_t *)b;
  return x < y ? -1 : x > y;
}

static uint32_t share(double part) {
  if (answered == 0) return 0;
  uint64_t at = (uint64_t)((double)answered * part);
  return latencies_us[at < answered ? at : answered - 1];
}

static void write_addresses(void) {
  FILE *file = fopen(options.addresses, "wb");
  if (!file) die(options.addresses);
  fwrite(addresses, sizeof *addresses, address_count, file);
  if (fclose(file) != 0) die(options.addresses);
}

static void report(uint32_t next) {
  struct rusage used;
  getrusage(RUSAGE_SELF, &used);
  double cpu = (double)(used.ru_utime.tv_sec + used.ru_stime.tv_sec) + (double)(used.ru_utime.tv_usec + used.ru_stime.tv_usec) / 1e6;
  double seconds = (double)(sending_ended_ns - started_ns) / 1e9;
  qsort(latencies_us, answered, sizeof *latencies_us, by_value);
  printf("{\"sent\":%lu,\"answered\":%lu,\"lost\":%lu,\"repeated\":%lu,\"wrong\":%lu,\"strays\":%lu,\"seconds\":%.6f,\"answeredInTime\":%lu,"
         "\"p50Us\":%u,\"p90Us\":%u,\"p99Us\":%u,\"p999Us\":%u,\"maxUs\":%u,\"generatorCpuSeconds\":%.6f,\"next\":%u}\n",
         sent, answered, lost, repeated, wrong, strays, seconds, answered_in_time, share(0.5), share(0.9), share(0.99), share(0.999),
         answered ? latencies_us[answered - 1] : 0, cpu, next);
}

static void drive(void) {
  map_packets();
  slot_count = options.sockets * IDENTIFIERS;
  uint32_t end = options.count > 0 && options.first + options.count < packet_count ? options.first + options.count : packet_count;
  errno = EINVAL;
  if (options.first >= end) die("no packets left");
  uint32_t room = end - options.first;
  slots = calloc(slot_count, sizeof *slots);
  latencies_us = malloc(sizeof *latencies_us * room);
  if (options.addresses) addresses = malloc(sizeof *addresses * room);
  if (options.samples && !(sample_file = fopen(options.samples, "wb"))) die(options.samples);
  if (!slots || !latencies_us || (options.addresses && !addresses)) die("malloc");
  int poll_fd = epoll_create1(EPOLL_CLOEXEC);
  for (uint32_t i = 0; i < options.sockets; i++) {
    socket_of[i] = open_socket(options.port, 1);
    struct epoll_event interest = { .events = EPOLLIN, .data.u32 = i };
    if (epoll_ctl(poll_fd, EPOLL_CTL_ADD, socket_of[i], &interest) < 0) die("epoll_ctl");
  }
  uint32_t next = options.first;
  started_ns = swept_ns = now_ns();
  uint64_t stop_ns = options.seconds > 0 ? started_ns + (uint64_t)(options.seconds * 1e9) : UINT64_MAX;
  for (;;) {
    uint64_t at_ns = now_ns();
    if (at_ns >= stop_ns) end = next;
    next = send_some(next, end, at_ns);
    if (next >= end && sending_ended_ns == 0) {
      sending_ended_ns = at_ns;
      answered_in_time = answered;
    }
    if (in_flight == 0 && next >= end) break;
    sweep(at_ns);
    /* Answers are taken in handfuls: waking up for each would cost the server a wake-up per answer, and us most of a core. */
    rest(options.tick_us);
    receive_all(poll_fd, options.rate > 0 ? 0 : 1);
  }
  if (sample_file && fclose(sample_file) != 0) die(options.samples);
  if (addresses) write_addresses();
  report(next);
}

static void echo(void) {
  int fd = open_socket(options.port, 0);
  int flags = fcntl(fd, F_GETFL);
  fcntl(fd, F_SETFL, flags & ~O_NONBLOCK);
  struct mmsghdr messages[BATCH];
  struct iovec parts[BATCH];
  struct sockaddr_in sources[BATCH];
  printf("ready\n");
  fflush(stdout);
  for (;;) {
    memset(messages, 0, sizeof messages);
    for (uint32_t i = 0; i < BATCH; i++) {
      parts[i] = (struct iovec){ receive_space[i], MAX_PACKET };
      messages[i].msg_hdr = (struct msghdr){ .msg_name = &sources[i], .msg_namelen = sizeof sources[i], .msg_iov = &parts[i], .msg_iovlen = 1 };
    }
    int n = recvmmsg(fd, messages, BATCH, MSG_WAITFORONE, NULL);
    for (int i = 0; i < n; i++) parts[i].iov_len = messages[i].msg_len;
    for (int done = 0; done < n;) {
      int m = sendmmsg(fd, messages + done, (unsigned)(n - done), 0);
      done += m > 0 ? m : 1;
    }
  }
}

int main(int argc, char **argv) {
  int echoes = 0;
  for (int i = 1; i < argc; i++) {
    const char *name = argv[i];
    if (strcmp(name, "--echo") == 0) {
      echoes = 1;
      continue;
    }
    errno = EINVAL;
    if (i + 1 >= argc) die(name);
    const char *value = argv[++i];
    if (strcmp(name, "--packets") == 0) options.packets = value;
    else if (strcmp(name, "--samples") == 0) options.samples = value;
    else if (strcmp(name, "--addresses") == 0) options.addresses = value;
    else if (strcmp(name, "--port") == 0) options.port = (uint32_t)atoi(value);
    else if (strcmp(name, "--sockets") == 0) options.sockets = (uint32_t)atoi(value);
    else if (strcmp(name, "--window") == 0) options.window = (uint32_t)atoi(value);
    else if (strcmp(name, "--timeout-ms") == 0) options.timeout_ms = (uint32_t)atoi(value);
    else if (strcmp(name, "--tries") == 0) options.tries = (uint32_t)atoi(value);
    else if (strcmp(name, "--tick-us") == 0) options.tick_us = (uint32_t)atoi(value);
    else if (strcmp(name, "--first") == 0) options.first = (uint32_t)atol(value);
    else if (strcmp(name, "--count") == 0) options.count = (uint32_t)atol(value);
    else if (strcmp(name, "--sample-every") == 0) options.sample_every = (uint32_t)atoi(value);
    else if (strcmp(name, "--seconds") == 0) options.seconds = atof(value);
    else if (strcmp(name, "--rate") == 0) options.rate = atof(value);
    else die(name);
  }
  errno = EINVAL;
  if (options.port == 0 || options.port > 65535 || options.sockets == 0 || options.sockets > MAX_SOCKETS || options.window == 0 ||
      options.sample_every == 0)
    die("a number is out of its range");
  prctl(PR_SET_PDEATHSIG, SIGKILL);
  prctl(PR_SET_TIMERSLACK, 1000);
  if (echoes) echo();
  else if (!options.packets) die("--packets FILE");
  else drive();
  return 0;
}
