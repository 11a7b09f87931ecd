# Holds sockets, starts a command with them, hears what it tells: systemd for a test, in small.
# Enters: arguments (notify socket, watchdog in microseconds, "udp:ADDRESS:PORT,…", the command), on standard input "start" and
# names of signals. Leaves: lines "@notice …" and "@exit …" between those of the command. Invariant: the command ends with us.
use strict;
use warnings;
use IO::Select;
use IO::Socket::INET;
use IO::Socket::UNIX;
use POSIX qw(dup2 WNOHANG);
use Socket;

my ($path, $watchdog, $sockets, @command) = @ARGV;
$| = 1;
# Descriptors that are passed must survive exec.
$^F = 255;
my @held = map {
    my ($protocol, $address, $port) = split /:/, $_;
    IO::Socket::INET->new(
        Proto => $protocol, LocalAddr => $address, LocalPort => $port, ReuseAddr => ($protocol eq 'tcp'),
        ($protocol eq 'tcp' ? (Listen => 64) : ()),
    ) or die "cannot hold $_: $@";
} split /,/, $sockets;
# ReceiveBuffer= of the unit: beyond net.core.rmem_max for root (SO_RCVBUFFORCE is 33 on Linux), as far as allowed for others.
for my $socket (@held) {
    setsockopt($socket, SOL_SOCKET, 33, 8 << 20) or setsockopt($socket, SOL_SOCKET, SO_RCVBUF, 8 << 20);
}
$^F = 2;
my $notify = IO::Socket::UNIX->new(Type => SOCK_DGRAM, Local => $path) or die "cannot hear: $!";
my $child;

sub start {
    $child = fork;
    die "fork: $!" unless defined $child;
    if ($child) { print '@pid ', $child, "\n"; return }
    # Out of the way first, so that no descriptor is overwritten before it was passed on.
    my @high = map { POSIX::dup2(fileno($held[$_]), 100 + $_) ; 100 + $_ } 0 .. $#held;
    POSIX::dup2($high[$_], 3 + $_) for 0 .. $#high;
    POSIX::close($_) for @high;
    $ENV{LISTEN_PID} = $$;
    $ENV{LISTEN_FDS} = @held;
    $ENV{LISTEN_FDNAMES} = join ':', map { 'sluice.socket' } @held;
    $ENV{NOTIFY_SOCKET} = $path;
    if ($watchdog) { $ENV{WATCHDOG_USEC} = $watchdog; $ENV{WATCHDOG_PID} = $$ }
    exec { $command[0] } @command or die "exec: $!";
}

sub reap {
    return unless defined $child && waitpid($child, WNOHANG) == $child;
    undef $child;
    print '@exit ', ($? & 127 ? 'signal ' . ($? & 127) : 'exit ' . ($? >> 8)), "\n";
}

my $select = IO::Select->new(\*STDIN, $notify);
while (1) {
    for my $ready ($select->can_read(0.05)) {
        if ($ready == $notify) {
            $notify->recv(my $text, 4096);
            $text =~ s/\n/ /g;
            print '@notice ', $text, "\n";
        } else {
            # What came in one read are several lines at most.
            sysread(STDIN, my $text, 4096) or do { kill 'KILL', $child if defined $child; exit };
            for my $word (split /\n/, $text) { $word eq 'start' ? start() : defined $child && kill($word, $child) }
        }
    }
    reap();
}
