# Asks ADDRESS for an echo every few milliseconds. For each line that it reads it prints the longest time in milliseconds in which none came,
# since the line before.
#
#   perl pinger.pl ADDRESS
use strict;
use warnings;
use Time::HiRes qw(clock_gettime CLOCK_MONOTONIC);

use constant { AF_INET => 2, SOCK_RAW => 3, ICMP => 1, EVERY => 0.005 };
my $to = pack 'S n a4 x8', AF_INET, 0, pack 'C4', split /\./, $ARGV[0];
my $echo = pack 'C C n n n', 8, 0, 0xf7fd, 1, 1;    # its own checksum in the middle
socket my $icmp, AF_INET, SOCK_RAW, ICMP or die "socket: $!\n";
$| = 1;

my ($heard, $longest, $next) = (clock_gettime(CLOCK_MONOTONIC), 0, 0);
for (;;) {
  my $now = clock_gettime(CLOCK_MONOTONIC);
  if ($now >= $next) {
    send $icmp, $echo, 0, $to;
    $next = $now + EVERY;
  }
  my $ready = '';
  vec($ready, fileno $_, 1) = 1 for $icmp, *STDIN;
  select($ready, undef, undef, EVERY) > 0 or next;
  $now = clock_gettime(CLOCK_MONOTONIC);
  if (vec $ready, fileno $icmp, 1) {
    sysread $icmp, my $packet, 2048;
    next if ord(substr $packet, 20) != 0;           # no answer
    $longest = $now - $heard if $now - $heard > $longest;
    $heard = $now;
  }
  if (vec $ready, fileno STDIN, 1) {
    sysread STDIN, my $line, 64 or exit;
    $longest = $now - $heard if $now - $heard > $longest;
    printf "%.1f\n", 1000 * $longest;
    $longest = 0;
  }
}
